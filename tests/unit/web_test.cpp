// Protection of the TCP listener: TLS, client certificates, passwords, and room for a scrape while others
// hold hundreds of silent connections. A real server, real handshakes (libcurl with OpenSSL against GnuTLS),
// certificates made by openssl(1).
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "api/server.hpp"
#include "api/web_config.hpp"
#include "core/fd.hpp"
#include "http_client.hpp"

namespace sluice {
namespace {

using test::http;
using test::HttpReply;
using test::HttpRequest;
namespace fs = std::filesystem;

// bcrypt of "scrape me", cost 4 where speed matters and 10 as people have it.
constexpr const char *fast_hash = "$2y$04$3RTfpzBq3y86Q8y1SEDFQ..OlXMi0jHlY4yJKWvIqlOAqgc9kLxWG";
constexpr const char *slow_hash = "$2y$10$cCvrYqZHVc2djIHCtkU2gOaQsj.JOZ6TAyQd1ve12bh2ZMRkST/d.";
constexpr const char *password = "scrape me";

bool has(const std::string &text, const std::string &part) {
    return text.find(part) != std::string::npos;
}

void shell(const fs::path &folder, const std::string &command) {
    const auto line = "cd " + folder.string() + " && { " + command + "; } 2>openssl.log";
    ASSERT_EQ(std::system(line.c_str()), 0) << command << "\n(package openssl; see openssl.log)";
}

// A CA `ca` of that name, and certificates that it signs.
void make_ca(const fs::path &folder, const std::string &ca) {
    shell(folder, "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=" +
                      ca + " -keyout " + ca + ".key -out " + ca + ".crt");
}
void make_cert(const fs::path &folder, const std::string &ca, const std::string &name) {
    shell(folder, "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=" + name +
                      " -keyout " + name + ".key -out " + name +
                      ".csr && printf 'subjectAltName=IP:127.0.0.1,IP:::1\\n' >" + name +
                      ".ext && openssl x509 -req -in " + name + ".csr -CA " + ca + ".crt -CAkey " + ca +
                      ".key -CAcreateserial -days 2 -extfile " + name + ".ext -out " + name + ".crt");
}

class Web : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        char name[] = "/tmp/sluice-web-XXXXXX";
        folder = mkdtemp(name);
        for (const auto *ca : {"ca", "stranger-ca"})
            make_ca(folder, ca);
        for (const auto *cert : {"server", "client"})
            make_cert(folder, "ca", cert);
        make_cert(folder, "stranger-ca", "stranger");
    }
    static void TearDownTestSuite() { fs::remove_all(folder); }
    void TearDown() override { server.reset(); }

    std::string write(const std::string &text) {
        const auto file = folder / "web.yml";
        std::ofstream(folder / "web.yml.new") << text;
        fs::rename(folder / "web.yml.new", file);
        return file;
    }
    Result<> try_start(const std::string &text, const std::string &address = "127.0.0.1:0") {
        server.reset();
        ServerOptions options{address, ""};
        options.web_config_file = write(text);
        options.log = [this](const std::string &line) {
            std::lock_guard lock(log_mutex);
            log.push_back(line);
        };
        const auto snapshot = [] { return Snapshot{.version = "1", .health = "ok"}; };
        server = std::make_unique<Server>(options, Handlers{snapshot, nullptr});
        return server->start();
    }
    void start(const std::string &text, const std::string &address = "127.0.0.1:0") {
        const auto started = try_start(text, address);
        ASSERT_TRUE(started) << to_string(started.error());
    }
    HttpReply ask(HttpRequest request = {}, const std::string &scheme = "https",
                  const std::string &host = "127.0.0.1") const {
        request.url = scheme + "://" + host + ":" + std::to_string(server->port()) + "/metrics";
        if (request.ca.empty())
            request.ca = folder / "ca.crt";
        return http(request);
    }
    HttpReply ask_as(const std::string &cert) const {
        return ask({.cert = folder / (cert + ".crt"), .key = folder / (cert + ".key")});
    }

    static inline fs::path folder;
    std::unique_ptr<Server> server;
    std::mutex log_mutex;
    std::vector<std::string> log;
};

const std::string tls = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";
const std::string mutual = tls + "  client_ca_file: ca.crt\n  client_auth_type: ";

TEST_F(Web, ServesTlsOnBothFamilies) {
    for (const auto *address : {"127.0.0.1", "[::1]"}) {
        start(tls, std::string(address) + ":0");
        const auto reply = ask({}, "https", address);
        EXPECT_EQ(reply.status, 200) << curl_easy_strerror(reply.error);
        EXPECT_TRUE(has(reply.body, "\nsluice_up 1\n"));
        EXPECT_EQ(ask({.ca = folder / "stranger-ca.crt"}, "https", address).error,
                  CURLE_PEER_FAILED_VERIFICATION);
    }
}

TEST_F(Web, PlainRequestsToTheTlsPortGetNothingAndHarmNobody) {
    start(tls);
    EXPECT_NE(ask({}, "http").error, CURLE_OK);
    EXPECT_EQ(ask().status, 200);
}

TEST_F(Web, RequiresAClientCertificateOfTheRightCa) {
    start(mutual + "RequireAndVerifyClientCert\n");
    EXPECT_EQ(ask_as("client").status, 200);
    EXPECT_NE(ask().error, CURLE_OK) << "without a certificate";
    EXPECT_NE(ask_as("stranger").error, CURLE_OK);
    EXPECT_EQ(ask_as("client").status, 200);
}

TEST_F(Web, VerifiesAClientCertificateIfThereIsOne) {
    start(mutual + "VerifyClientCertIfGiven\n");
    EXPECT_EQ(ask_as("client").status, 200);
    EXPECT_EQ(ask().status, 200);
    EXPECT_NE(ask_as("stranger").error, CURLE_OK);
}

TEST_F(Web, AnyClientCertificateWhereThatIsAsked) {
    start(tls + "  client_auth_type: RequireAnyClientCert\n");
    EXPECT_EQ(ask_as("stranger").status, 200);
    EXPECT_NE(ask().error, CURLE_OK);
}

TEST_F(Web, KeepsToTheVersionsAskedFor) {
    const HttpRequest old{.tls_versions = long{CURL_SSLVERSION_TLSv1_2} | long{CURL_SSLVERSION_MAX_TLSv1_2}};
    const HttpRequest fresh{.tls_versions = CURL_SSLVERSION_TLSv1_3};
    start(tls);
    EXPECT_EQ(ask(old).status, 200);
    EXPECT_EQ(ask(fresh).status, 200);
    start(tls + "  min_version: TLS13\n");
    EXPECT_NE(ask(old).error, CURLE_OK);
    EXPECT_EQ(ask(fresh).status, 200);
    start(tls + "  max_version: TLS12\n");
    EXPECT_EQ(ask(old).status, 200);
    EXPECT_NE(ask(fresh).error, CURLE_OK);
}

TEST_F(Web, AsksForAPassword) {
    start("basic_auth_users:\n  prometheus: " + std::string(slow_hash) + "\n");
    EXPECT_EQ(ask({}, "http").status, 401);
    EXPECT_EQ(ask({.login = "prometheus:wrong"}, "http").status, 401);
    EXPECT_EQ(ask({.login = "nobody:" + std::string(password)}, "http").status, 401);
    EXPECT_EQ(ask({.login = "prometheus:"}, "http").status, 401);
    EXPECT_EQ(ask({.login = "prometheus:" + std::string(password)}, "http").status, 200);
    EXPECT_EQ(ask({.login = "prometheus:wrong"}, "http").status, 401)
        << "who was let in before must not open for all";
}

TEST_F(Web, GuessersDoNotKeepOthersOut) {
    start("basic_auth_users: {prometheus: '" + std::string(slow_hash) + "'}\n");
    const HttpRequest good{.login = "prometheus:" + std::string(password)};
    ASSERT_EQ(ask(good, "http").status, 200);
    std::vector<std::jthread> guessers;
    for (int i = 0; i < 4; i++)
        guessers.emplace_back([&, i](const std::stop_token &stop) {
            while (!stop.stop_requested())
                ask({.login = "prometheus:guess" + std::to_string(i)}, "http");
        });
    for (int i = 0; i < 10; i++)
        EXPECT_EQ(ask(good, "http").status, 200);
}

TEST_F(Web, RenewedFilesCountWithoutARestart) {
    const auto users = [](const std::string &name) {
        return "basic_auth_users: {" + name + ": '" + fast_hash + "'}\n";
    };
    make_cert(folder, "ca", "renewed");
    const auto config = [&](const std::string &cert, const std::string &user) {
        return "tls_server_config: {cert_file: " + cert + ".crt, key_file: " + cert + ".key}\n" + users(user);
    };
    start(config("renewed", "old"));
    EXPECT_EQ(ask({.login = "old:scrape me"}).status, 200);
    make_cert(folder, "stranger-ca", "renewed"); // the same names
    EXPECT_EQ(ask({.login = "old:scrape me"}).error, CURLE_PEER_FAILED_VERIFICATION);
    EXPECT_EQ(ask({.ca = folder / "stranger-ca.crt", .login = "old:scrape me"}).status, 200);
    write(config("server", "new"));
    EXPECT_EQ(ask({.login = "new:scrape me"}).status, 200);
    EXPECT_EQ(ask({.login = "old:scrape me"}).status, 401);
    EXPECT_TRUE(log.empty()) << log.front();
    write("basic_auth_users: {new: plain text}\n");
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(ask({.login = "new:scrape me"}).status, 200) << "a bad file changes nothing";
    ASSERT_EQ(log.size(), 1u) << "and is reported once";
    EXPECT_TRUE(has(log[0], "web.yml:1:25")) << log[0];
}

TEST_F(Web, SaysWhatIsWrongWithTheFile) {
    struct Case {
        std::string text, message;
    };
    const std::string long_hash = std::string(slow_hash).replace(4, 2, "31");
    for (const auto &[text, message] : std::vector<Case>{
             {"tls_server_config:\n  cert_file: server.crt\n", "key_file"},
             {tls + "  min_version: TLS10\n", "web.yml:4:16"},
             {tls + "  client_auth_type: RequireAndVerifyClientCert\n", "client_ca_file"},
             {tls + "  client_ca_file: ca.crt\n", "client_auth_type"},
             {tls + "  client_ca_fle: ca.crt\n", "did you mean `client_ca_file`"},
             {tls + "  cipher_suites: [TLS_AES_128_GCM_SHA256]\n", "cipher_suites"},
             {"basic_auth_users: {a: secret}\n", "bcrypt"},
             {"basic_auth_users: {a: '" + long_hash + "'}\n", "cost"},
             {"tls_server_config: {cert_file: missing.crt, key_file: server.key}\n", "missing.crt"},
             {"tls_server_config: {cert_file: server.crt, key_file: client.key}\n", "belong together"},
             {tls + "  min_version: TLS13\n  max_version: TLS12\n", "above"},
             {"tls_server_config: [", "web.yml"},
         }) {
        const auto started = try_start(text);
        ASSERT_FALSE(started) << text;
        EXPECT_TRUE(has(to_string(started.error()), message)) << text << to_string(started.error());
    }
    start("# nothing\n"); // is asked for
    EXPECT_EQ(ask({}, "http").status, 200);
}

TEST_F(Web, PromtoolAgreesAboutTheFormat) {
    const auto file =
        write(mutual + "RequireAndVerifyClientCert\n  min_version: TLS12\nhttp_server_config: {http2: " +
              "false}\nbasic_auth_users: {prometheus: '" + slow_hash + "'}\n");
    EXPECT_TRUE(load_web_config(file));
    EXPECT_EQ(std::system(("promtool check web-config " + file + " >/dev/null").c_str()), 0)
        << "promtool is in the package prometheus; ./dev test installs it";
}

Fd silent_connection(uint16_t port, const std::string &source, const std::string &first_words) {
    Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in from{.sin_family = AF_INET}, to{.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, source.c_str(), &from.sin_addr);
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    bind(fd.get(), reinterpret_cast<sockaddr *>(&from), sizeof(from));
    if (connect(fd.get(), reinterpret_cast<sockaddr *>(&to), sizeof(to)) == 0)
        send(fd.get(), first_words.data(), first_words.size(), MSG_NOSIGNAL);
    return fd;
}

// 600 connections from ten addresses: more than the listener holds, from more places than one address may
// fill.
TEST_F(Web, HundredsOfSilentConnectionsDoNotBlockAScrape) {
    const rlimit files{4096, 4096};
    setrlimit(RLIMIT_NOFILE, &files);
    for (const bool secure : {false, true}) {
        start(secure ? tls : "");
        std::vector<Fd> silent;
        double slowest_s = 0;
        for (int i = 0; i < 600; i++) {
            silent.push_back(silent_connection(server->port(), "127.0.0." + std::to_string(2 + i % 10),
                                               i % 2 ? "GET /metrics HT" : ""));
            if (i % 50 == 49) {
                const auto reply = ask({.source = "127.0.0.1"}, secure ? "https" : "http");
                EXPECT_EQ(reply.status, 200) << i << " " << curl_easy_strerror(reply.error);
                slowest_s = std::max(slowest_s, reply.seconds);
            }
        }
        EXPECT_LT(slowest_s, 2)
            << "seconds; without eviction a scrape waits until somebody's idle timeout, 10 s";
    }
}

} // namespace
} // namespace sluice
