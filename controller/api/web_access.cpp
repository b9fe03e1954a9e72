#include "api/web_access.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include <crypt.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <sys/stat.h>

#include "core/sha256.hpp"

namespace sluice {

class TlsCredentials {
  public:
    TlsCredentials() { gnutls_certificate_allocate_credentials(&handle); }
    ~TlsCredentials() { gnutls_certificate_free_credentials(handle); }
    TlsCredentials(const TlsCredentials &) = delete;
    TlsCredentials &operator=(const TlsCredentials &) = delete;

    gnutls_certificate_credentials_t handle = nullptr;
};

namespace {

tl::unexpected<Error> fail_tls(int code, const std::string &operation, std::string cure = {}) {
    return fail(operation + ": " + gnutls_strerror(code), std::move(cure));
}

Result<std::string> read_file(const std::string &path) {
    std::ifstream in(path, std::ios::binary);
    if (!in)
        return fail_errno(errno, "open " + path);
    return std::string{std::istreambuf_iterator<char>(in), {}};
}

std::string priorities(const WebTls &tls) {
    std::string text = "NORMAL:-VERS-ALL";
    if (tls.max_version == TlsVersion::tls13)
        text += ":+VERS-TLS1.3";
    if (tls.min_version == TlsVersion::tls12)
        text += ":+VERS-TLS1.2";
    return text;
}

gnutls_datum_t datum(const std::string &text) {
    return {reinterpret_cast<unsigned char *>(const_cast<char *>(text.data())),
            static_cast<unsigned>(text.size())};
}

Result<> load_tls(WebState &state) {
    const WebTls &tls = *state.config.tls;
    auto cert = read_file(tls.cert_file), key = read_file(tls.key_file);
    if (!cert || !key)
        return tl::unexpected(!cert ? cert.error() : key.error());
    state.cert_pem = std::move(*cert);
    state.key_pem = std::move(*key);
    state.priorities = priorities(tls);
    auto credentials = std::make_shared<TlsCredentials>();
    const auto cert_data = datum(state.cert_pem), key_data = datum(state.key_pem);
    int code =
        gnutls_certificate_set_x509_key_mem(credentials->handle, &cert_data, &key_data, GNUTLS_X509_FMT_PEM);
    if (code < 0)
        return fail_tls(code, "load " + tls.cert_file + " and " + tls.key_file,
                        "they must be PEM and belong together");
    if (!tls.client_ca_file.empty()) {
        code = gnutls_certificate_set_x509_trust_file(credentials->handle, tls.client_ca_file.c_str(),
                                                      GNUTLS_X509_FMT_PEM);
        if (code <= 0)
            return fail("load client CAs from " + tls.client_ca_file + ": " +
                        (code < 0 ? gnutls_strerror(code) : "no certificate in it"));
    }
    state.credentials = std::move(credentials);
    return {};
}

// Same time for an unknown user as for a known one with a wrong password. Cost 10, of a password nobody has.
constexpr const char *nobodys_hash = "$2y$10$trjliroUi8OBkPktp7FfV.lWsDUAi.MmmLCUjX3VTyEdkj8Y1xp/m";

bool password_fits(const std::string &password, const std::string &hash) {
    crypt_data scratch{};
    const char *out = crypt_r(password.c_str(), hash.c_str(), &scratch);
    return out && std::strlen(out) == hash.size() && gnutls_memcmp(out, hash.data(), hash.size()) == 0;
}

// A server that requires client certificates but would take any: the toolkit's RequireAnyClientCert.
int any_certificate(gnutls_session_t session) {
    unsigned count = 0;
    return gnutls_certificate_get_peers(session, &count) && count ? 0 : GNUTLS_E_CERTIFICATE_REQUIRED;
}

int verify_if_given(gnutls_session_t session) {
    unsigned count = 0, status = 0;
    if (!gnutls_certificate_get_peers(session, &count) || count == 0)
        return 0;
    const int code = gnutls_certificate_verify_peers3(session, nullptr, &status);
    return code < 0 ? code : status ? GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR : 0;
}

int verified_certificate(gnutls_session_t session) {
    const int code = any_certificate(session);
    return code ? code : verify_if_given(session);
}

} // namespace

Result<> bind_session(void *raw, const WebState &state) {
    auto *session = static_cast<gnutls_session_t>(raw);
    int code = gnutls_priority_set_direct(session, state.priorities.c_str(), nullptr);
    if (code >= 0)
        code = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, state.credentials->handle);
    if (code < 0)
        return fail_tls(code, "prepare a TLS session");
    switch (state.config.tls->client_auth) {
    case ClientAuth::none:
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_IGNORE);
        break;
    case ClientAuth::request:
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
        break;
    case ClientAuth::require_any:
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
        gnutls_session_set_verify_function(session, any_certificate);
        break;
    case ClientAuth::verify_if_given:
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
        gnutls_session_set_verify_function(session, verify_if_given);
        break;
    case ClientAuth::require_and_verify:
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
        gnutls_session_set_verify_function(session, verified_certificate);
        break;
    }
    return {};
}

Result<std::shared_ptr<const WebState>> WebAccess::load(const std::string &file) {
    auto state = std::make_shared<WebState>();
    if (!file.empty()) {
        auto config = load_web_config(file);
        if (!config)
            return tl::unexpected(config.error());
        state->config = std::move(*config);
        if (state->config.tls)
            if (auto loaded = load_tls(*state); !loaded)
                return tl::unexpected(loaded.error());
    }
    return state;
}

Result<std::unique_ptr<WebAccess>> WebAccess::open(const std::string &file, Log log) {
    auto state = load(file);
    if (!state)
        return tl::unexpected(state.error());
    auto access = std::make_unique<WebAccess>();
    access->file_ = file;
    access->log_ = std::move(log);
    access->state_ = std::move(*state);
    access->remember_files();
    return access;
}

WebAccess::FileStamp WebAccess::stamp_of(const std::string &path) {
    struct stat st {};
    if (stat(path.c_str(), &st) != 0)
        return {path};
    return {path, st.st_dev, st.st_ino, static_cast<uint64_t>(st.st_size),
            st.st_mtim.tv_sec * 1'000'000'000 + st.st_mtim.tv_nsec};
}

void WebAccess::remember_files() {
    stamps_ = {stamp_of(file_)};
    if (const auto &tls = state_->config.tls)
        for (const auto *path : {&tls->cert_file, &tls->key_file, &tls->client_ca_file})
            if (!path->empty())
                stamps_.push_back(stamp_of(*path));
}

bool WebAccess::files_changed() const {
    for (const auto &stamp : stamps_)
        if (stamp != stamp_of(stamp.path))
            return true;
    return false;
}

std::shared_ptr<const WebState> WebAccess::current() {
    std::lock_guard lock(mutex_);
    if (file_.empty() || !files_changed())
        return state_;
    auto fresh = load(file_);
    const bool other_protocol = fresh && (*fresh)->config.tls.has_value() != state_->config.tls.has_value();
    if (fresh && !other_protocol)
        state_ = std::move(*fresh);
    else if (log_)
        log_("web configuration " + file_ + " not loaded, the old one stays in force: " +
             (fresh ? "TLS on or off takes a restart" : to_string(fresh.error())));
    remember_files(); // a bad file is reported once
    return state_;
}

WebAccess::Login WebAccess::login(const WebState &state, const std::string &user,
                                  const std::string &password) {
    const auto known = state.config.users.find(user);
    const std::string hash = known == state.config.users.end() ? nobodys_hash : known->second;
    const std::string digest = sha256_hex(hash + '\0' + password);
    {
        std::lock_guard lock(accepted_mutex_);
        const auto before = accepted_.find(user);
        if (known != state.config.users.end() && before != accepted_.end() && !digest.empty() &&
            before->second == digest)
            return Login::accepted;
    }
    const std::unique_lock checking(login_mutex_, std::try_to_lock);
    if (!checking)
        return Login::busy;
    const bool fits = password_fits(password, hash);
    if (!fits || known == state.config.users.end())
        return Login::refused;
    std::lock_guard lock(accepted_mutex_);
    accepted_[user] = digest; // bounded: configured users only
    return Login::accepted;
}

} // namespace sluice
