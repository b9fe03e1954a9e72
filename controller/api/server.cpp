#include "api/server.hpp"

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <exception>

#include <fcntl.h>
#include <microhttpd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/connections.hpp"
#include "api/json.hpp"
#include "api/listen.hpp"
#include "api/routes.hpp"
#include "api/web_access.hpp"

namespace sluice {
namespace {

// A scraper keeps one connection, a browser six. The limit per address leaves room for many of them behind
// one proxy, the total for several hosts that misbehave at the same time. Unix sockets have no address to
// limit.
constexpr unsigned max_connections = 512;
// Each of the two threads takes half of the connections: both have room for as many again that were evicted
// and are not closed yet.
constexpr unsigned max_silent_connections = max_connections / 4;
constexpr unsigned max_connections_per_ip = 64;
constexpr unsigned idle_timeout_s = 10;
constexpr size_t max_request_header_bytes = 16 * 1024; // libmicrohttpd's memory per connection
constexpr size_t small_body_bytes = 64 * 1024;         // read even if it is for nothing
// The page is made of files of ours alone; whatever comes in as data can at worst be shown as text.
constexpr const char *content_security_policy = "default-src 'none'; script-src 'self'; style-src 'self'; "
                                                "img-src 'self'; connect-src 'self'; base-uri 'none'; "
                                                "form-action 'none'; frame-ancestors 'none'";
constexpr unsigned threads = 2; // one may be busy in a reload

struct ResponseDeleter {
    void operator()(MHD_Response *r) const { MHD_destroy_response(r); }
};

double now_unix_s() {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

const char *header(MHD_Connection *connection, const char *name) {
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

std::optional<uid_t> peer_uid(MHD_Connection *connection) {
    const auto *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    ucred peer{};
    socklen_t size = sizeof(peer);
    if (!info || getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return {};
    return peer.uid;
}

MHD_Result send(MHD_Connection *connection, const Response &response) {
    const std::unique_ptr<MHD_Response, ResponseDeleter> out(MHD_create_response_from_buffer(
        response.body.size(), const_cast<char *>(response.body.data()), MHD_RESPMEM_MUST_COPY));
    if (!out)
        return MHD_NO;
    MHD_add_response_header(out.get(), MHD_HTTP_HEADER_CONTENT_TYPE, response.content_type.c_str());
    MHD_add_response_header(out.get(), MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(out.get(), "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(out.get(), "Content-Security-Policy", content_security_policy);
    MHD_add_response_header(out.get(), "Referrer-Policy", "no-referrer");
    if (!response.allow.empty())
        MHD_add_response_header(out.get(), MHD_HTTP_HEADER_ALLOW, response.allow.c_str());
    if (response.status == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(out.get(), MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Basic realm=\"sluice\"");
    if (response.status == MHD_HTTP_SERVICE_UNAVAILABLE)
        MHD_add_response_header(out.get(), MHD_HTTP_HEADER_RETRY_AFTER, "1");
    return MHD_queue_response(connection, response.status, out.get());
}

MHD_Result take_argument(void *query, MHD_ValueKind, const char *name, const char *value) {
    static_cast<std::map<std::string, std::string> *>(query)->emplace(name, value ? value : "");
    return MHD_YES;
}

// A body of unknown length is refused, so the announced length, which libmicrohttpd enforces, bounds what is
// received.
std::optional<Response> refuse_body(MHD_Connection *connection, size_t most) {
    if (header(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING))
        return Response{411, "application/json", error_json("Content-Length is required")};
    const char *length = header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (length && std::strtoull(length, nullptr, 10) > most)
        return Response{413, "application/json", error_json("the body is too large")};
    return {};
}

// Nothing where the request may go on.
std::optional<Response> refuse_stranger(MHD_Connection *connection, WebAccess &access, const WebState &web) {
    if (web.config.users.empty())
        return {};
    char *password = nullptr;
    const std::unique_ptr<char, decltype(&MHD_free)> user_text(
        MHD_basic_auth_get_username_password(connection, &password), [](void *p) { MHD_free(p); });
    const std::unique_ptr<char, decltype(&MHD_free)> password_text(password, [](void *p) { MHD_free(p); });
    auto login = WebAccess::Login::refused;
    if (user_text && password_text)
        login = access.login(web, user_text.get(), password_text.get());
    if (login == WebAccess::Login::accepted)
        return {};
    if (login == WebAccess::Login::busy)
        return Response{503, "application/json", error_json("another password is being checked, try again")};
    return Response{401, "application/json", error_json("a user name and password are required")};
}

// An exception must not cross libmicrohttpd's C frames.
Response respond_safely(const Request &request, const Handlers &handlers) {
    try {
        return respond(request, handlers, now_unix_s());
    } catch (const std::exception &e) {
        return {500, "application/json", error_json(e.what())};
    }
}

} // namespace

// One listening socket with its threads. Owns the path of a unix socket.
class Server::Listener {
  public:
    // `access` is for TCP; a unix socket has its peer's credentials.
    Listener(const Handlers &handlers, std::string unix_path, WebAccess *access)
        : handlers_(handlers), unix_path_(std::move(unix_path)), access_(access) {}

    ~Listener() {
        if (!daemon_)
            return;
        if (!unix_path_.empty())
            unlink(unix_path_.c_str());
        MHD_stop_daemon(daemon_); // closes the listening socket too
    }

    Result<> start(const Fd &socket) {
        // libmicrohttpd gets a descriptor of its own: it closes it at the end, and maybe when it fails.
        const int fd = fcntl(socket.get(), F_DUPFD_CLOEXEC, 0);
        if (fd < 0)
            return fail_errno(errno, "duplicate the listening socket");
        const auto web = access_ ? access_->current() : nullptr;
        const bool tls = web && web->config.tls;
        MHD_OptionItem tls_options[] = {
            {tls ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0,
             tls ? const_cast<char *>(web->cert_pem.c_str()) : nullptr},
            {MHD_OPTION_HTTPS_MEM_KEY, 0, tls ? const_cast<char *>(web->key_pem.c_str()) : nullptr},
            {MHD_OPTION_END, 0, nullptr}};
        daemon_ = MHD_start_daemon(
            MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD | (tls ? unsigned{MHD_USE_TLS} : 0), 0, nullptr,
            nullptr, &Listener::answer, this, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE,
            threads, MHD_OPTION_CONNECTION_LIMIT, max_connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
            max_connections_per_ip, MHD_OPTION_CONNECTION_TIMEOUT, idle_timeout_s,
            MHD_OPTION_CONNECTION_MEMORY_LIMIT, max_request_header_bytes, MHD_OPTION_NOTIFY_CONNECTION,
            &Listener::connection_changed, this, MHD_OPTION_NOTIFY_COMPLETED, &Listener::ended, nullptr,
            MHD_OPTION_ARRAY, tls_options, MHD_OPTION_END);
        if (!daemon_)
            return fail("start the HTTP server: libmicrohttpd refused");
        return {};
    }

  private:
    // A connection is accepted, before its TLS handshake, or about to be closed.
    static void connection_changed(void *self, MHD_Connection *connection, void **context,
                                   MHD_ConnectionNotificationCode what) {
        auto *listener = static_cast<Listener *>(self);
        if (what == MHD_CONNECTION_NOTIFY_STARTED) {
            const auto *fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
            auto web = listener->access_ ? listener->access_->current() : nullptr;
            if (web && web->credentials)
                secure(connection, *web, fd->connect_fd);
            *context = new Connections::Handle(listener->connections_.opened(fd->connect_fd, std::move(web)));
        } else if (auto *handle = static_cast<Connections::Handle *>(*context)) {
            listener->connections_.closed(*handle);
            delete handle;
        }
    }

    // A session that cannot be prepared must not fall back to anything weaker: it ends here.
    static void secure(MHD_Connection *connection, const WebState &web, int fd) {
        const auto *session = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
        if (!session || !bind_session(session->tls_session, web))
            shutdown(fd, SHUT_RDWR);
    }

    void note_use(MHD_Connection *connection) {
        const auto *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
        if (info && info->socket_context)
            connections_.used(*static_cast<Connections::Handle *>(info->socket_context));
    }

    // What is known of a request once its header is complete, and its body as far as it came.
    struct Pending {
        Request request;
        std::optional<Response> refusal;
    };

    std::unique_ptr<Pending> begin(MHD_Connection *connection, const char *url, const char *method) {
        note_use(connection);
        auto pending = std::make_unique<Pending>(Pending{{method, url}, {}});
        Request &request = pending->request;
        request.on_control_socket = !unix_path_.empty();
        if (request.on_control_socket)
            request.peer_uid = peer_uid(connection);
        if (access_)
            pending->refusal = refuse_stranger(connection, *access_, *access_->current());
        if (!pending->refusal)
            pending->refusal = refuse(request);
        return pending;
    }

    static void ended(void *, MHD_Connection *, void **request_state, MHD_RequestTerminationCode) {
        delete static_cast<Pending *>(*request_state);
    }

    // Called once when the header is complete, then per piece of the body, then once more to answer. A small
    // body is read even when the answer is known: closing early would take the answer from a client that is
    // still sending.
    static MHD_Result answer(void *self, MHD_Connection *connection, const char *url, const char *method,
                             const char *, const char *body, size_t *body_bytes, void **request_state) {
        auto *listener = static_cast<Listener *>(self);
        if (!*request_state) {
            auto *pending = listener->begin(connection, url, method).release();
            *request_state = pending;
            const size_t most = pending->refusal ? small_body_bytes : largest_body(pending->request);
            const auto too_much = refuse_body(connection, most);
            return too_much ? send(connection, pending->refusal ? *pending->refusal : *too_much) : MHD_YES;
        }
        auto &pending = *static_cast<Pending *>(*request_state);
        if (*body_bytes > 0) {
            if (!pending.refusal)
                pending.request.body.append(body, *body_bytes);
            *body_bytes = 0;
            return MHD_YES;
        }
        if (pending.refusal)
            return send(connection, *pending.refusal);
        MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, take_argument, &pending.request.query);
        return send(connection, respond_safely(pending.request, listener->handlers_));
    }

    const Handlers &handlers_;
    std::string unix_path_; // empty for TCP
    WebAccess *access_;
    Connections connections_{max_silent_connections};
    MHD_Daemon *daemon_ = nullptr;
};

Server::Server(ServerOptions options, Handlers handlers)
    : options_(std::move(options)), handlers_(std::move(handlers)) {}

Server::~Server() {
    stop();
}

Result<> Server::start() {
    auto started = start_tcp().and_then([this] { return start_control(); });
    if (!started)
        stop();
    return started;
}

Result<> Server::start_tcp() {
    if (options_.listen_address.empty())
        return {};
    const auto address = parse_listen_address(options_.listen_address);
    if (!address)
        return tl::unexpected(address.error());
    auto socket = listen_tcp(*address);
    if (!socket)
        return tl::unexpected(socket.error());
    port_ = bound_port(socket->get());
    auto access = WebAccess::open(options_.web_config_file, options_.log);
    if (!access)
        return tl::unexpected(access.error());
    access_ = std::move(*access);
    tcp_ = std::make_unique<Listener>(handlers_, "", access_.get());
    return tcp_->start(*socket);
}

Result<> Server::start_control() {
    if (options_.control_socket.empty())
        return {};
    auto socket = listen_unix(options_.control_socket);
    if (!socket)
        return tl::unexpected(socket.error());
    control_ = std::make_unique<Listener>(handlers_, options_.control_socket, nullptr);
    return control_->start(*socket);
}

void Server::stop() {
    tcp_.reset();
    control_.reset();
    port_ = 0;
}

} // namespace sluice
