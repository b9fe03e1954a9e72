// Who may talk to the TCP listener, and how: the web configuration in force, its certificates ready for use,
// and the password check. Files are looked at on every connection and request, so renewed certificates and
// new passwords count at once; a change that cannot be loaded is logged and leaves what was in force.
// Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "api/web_config.hpp"

namespace sluice {

// Certificate, key and trusted client CAs; the type hides GnuTLS.
class TlsCredentials;

struct WebState {
    WebConfig config;
    std::string cert_pem, key_pem;                     // for libmicrohttpd's own check at the start
    std::shared_ptr<const TlsCredentials> credentials; // null without TLS
    std::string priorities;                            // GnuTLS: protocol versions
};

class WebAccess {
  public:
    using Log = std::function<void(const std::string &)>;

    // No file name: no TLS, no password.
    static Result<std::unique_ptr<WebAccess>> open(const std::string &file, Log log);

    std::shared_ptr<const WebState> current();

    enum class Login { accepted, refused, busy };
    // `busy`: another unknown password is being checked. One check takes tens of milliseconds of CPU by
    // design, so they go one at a time; who has been accepted before never waits.
    Login login(const WebState &state, const std::string &user, const std::string &password);

  private:
    // What tells that a file is another one; symlinks, as Kubernetes uses them, are followed.
    struct FileStamp {
        std::string path;
        uint64_t device = 0, inode = 0, size = 0;
        int64_t modified_ns = 0;
        bool operator==(const FileStamp &) const = default;
    };
    static FileStamp stamp_of(const std::string &path);
    static Result<std::shared_ptr<const WebState>> load(const std::string &file);
    void remember_files();
    bool files_changed() const;

    std::string file_;
    Log log_;
    std::mutex mutex_; // guards the state and the stamps
    std::shared_ptr<const WebState> state_;
    std::vector<FileStamp> stamps_;
    std::mutex login_mutex_, accepted_mutex_;
    std::map<std::string, std::string> accepted_; // user → digest of hash and password
};

// `session` (a gnutls_session_t of a connection that has not begun its handshake) is bound to `state`: its
// certificate, its versions, and what it asks of the client. The handshake itself fails without a good client
// certificate where one is required. `state` must outlive the session.
Result<> bind_session(void *session, const WebState &state);

} // namespace sluice
