#include "api/web_config.hpp"

#include <array>
#include <cctype>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/text.hpp"
#include "policy/document.hpp"
#include "policy/keys.hpp"

namespace sluice {
namespace {

constexpr size_t most_bytes = 1 << 20;
constexpr std::array<std::string_view, 5> client_auth_words{"NoClientCert", "RequestClientCert",
                                                            "RequireAnyClientCert", "VerifyClientCertIfGiven",
                                                            "RequireAndVerifyClientCert"};
constexpr std::array<std::string_view, 2> version_words{"TLS12", "TLS13"};
// bcrypt doubles its work per step of cost: 10 takes some 50 ms, 16 several seconds of one core per guess.
constexpr int most_cost = 15;

void read_text(Reader &r, const Node &n, std::string &out) {
    if (const auto text = r.scalar(n, "a text"))
        out = *text;
}

constexpr Row<WebTls> tls_rows[] = {
    {{.name = "cert_file", .need = Need::required},
     [](Reader &r, const Node &n, WebTls &t) { read_text(r, n, t.cert_file); }},
    {{.name = "key_file", .need = Need::required},
     [](Reader &r, const Node &n, WebTls &t) { read_text(r, n, t.key_file); }},
    {{.name = "client_ca_file"},
     [](Reader &r, const Node &n, WebTls &t) { read_text(r, n, t.client_ca_file); }},
    {{.name = "client_auth_type"},
     [](Reader &r, const Node &n, WebTls &t) { read_word(r, n, client_auth_words, t.client_auth); }},
    {{.name = "min_version"},
     [](Reader &r, const Node &n, WebTls &t) { read_word(r, n, version_words, t.min_version); }},
    {{.name = "max_version"},
     [](Reader &r, const Node &n, WebTls &t) { read_word(r, n, version_words, t.max_version); }},
};

void check_tls(Reader &r, const Node &n, const WebTls &tls) {
    const bool verifies =
        tls.client_auth == ClientAuth::verify_if_given || tls.client_auth == ClientAuth::require_and_verify;
    if (verifies && tls.client_ca_file.empty())
        r.error(n, "`client_auth_type` asks to verify client certificates, but there is no `client_ca_file`");
    if (!verifies && !tls.client_ca_file.empty())
        r.error(n, "`client_ca_file` without a `client_auth_type` that verifies",
                "RequireAndVerifyClientCert");
    if (tls.min_version > tls.max_version)
        r.error(n, "`min_version` is above `max_version`");
}

// "$2y$10$" and 53 characters; crypt(3) of Debian also takes 2a and 2b.
bool is_bcrypt(std::string_view hash) {
    return hash.size() == 60 &&
           (hash.starts_with("$2y$") || hash.starts_with("$2b$") || hash.starts_with("$2a$")) &&
           std::isdigit(static_cast<unsigned char>(hash[4])) &&
           std::isdigit(static_cast<unsigned char>(hash[5])) && hash[6] == '$';
}

void read_users(Reader &r, const Node &n, WebConfig &config) {
    if (!r.want_map(n, "`basic_auth_users`"))
        return;
    for (const Node &entry : n.children) {
        const auto hash = r.scalar(entry, "a bcrypt hash");
        if (!hash)
            continue;
        if (!is_bcrypt(*hash))
            r.error(entry, "the password of " + quote(entry.key) + " is not a bcrypt hash ($2y$10$...)",
                    "htpasswd -nBC 10 " + entry.key);
        else if ((*hash)[4] * 10 + (*hash)[5] - '0' * 11 > most_cost)
            r.error(entry,
                    "bcrypt cost above " + std::to_string(most_cost) + ": one login would block for seconds");
        config.users[entry.key] = *hash;
    }
}

struct HttpServer {
    bool http2 = false; // accepted, since files of other exporters have it; sluiced speaks HTTP/1.1
};
constexpr Row<HttpServer> http_rows[] = {
    {{.name = "http2"},
     [](Reader &r, const Node &n, HttpServer &h) { h.http2 = r.boolean(n).value_or(false); }},
};

constexpr Row<WebConfig> web_rows[] = {
    {{.name = "tls_server_config"},
     [](Reader &r, const Node &n, WebConfig &c) {
         c.tls.emplace();
         if (read_rows<WebTls>(r, n, "`tls_server_config`", tls_rows, *c.tls))
             check_tls(r, n, *c.tls);
     }},
    {{.name = "http_server_config"},
     [](Reader &r, const Node &n, WebConfig &) {
         HttpServer unused;
         read_rows<HttpServer>(r, n, "`http_server_config`", http_rows, unused);
     }},
    {{.name = "basic_auth_users"}, [](Reader &r, const Node &n, WebConfig &c) { read_users(r, n, c); }},
};

// Nothing but comments asks for nothing.
bool is_blank(const std::string &text) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const auto first = line.find_first_not_of(" \t\r");
        if (first != std::string::npos && line[first] != '#')
            return false;
    }
    return true;
}

void make_absolute(std::string &file, const std::filesystem::path &folder) {
    if (!file.empty())
        file = folder / file; // an absolute name stays
}

} // namespace

Result<WebConfig> load_web_config(const std::string &path) {
    std::ifstream in(path, std::ios::binary);
    if (!in)
        return fail_errno(errno, "open the web configuration " + path);
    std::string text;
    text.resize(most_bytes + 1);
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(in.gcount()));
    if (text.size() > most_bytes || text.find('\0') != std::string::npos)
        return fail("read the web configuration " + path + ": not a text of at most 1 MiB");
    if (is_blank(text))
        return WebConfig{};
    Report report(path, text);
    Reader reader(report);
    WebConfig config;
    if (const auto root = read_document(text, report))
        read_rows<WebConfig>(reader, *root, "the web configuration", web_rows, config);
    if (report.has_error()) {
        std::string all;
        for (const auto &diagnostic : report.take())
            all += (all.empty() ? "" : "\n") + format(diagnostic);
        return fail(all);
    }
    const auto folder = std::filesystem::absolute(path).parent_path();
    if (config.tls)
        for (auto *file : {&config.tls->cert_file, &config.tls->key_file, &config.tls->client_ca_file})
            make_absolute(*file, folder);
    return config;
}

} // namespace sluice
