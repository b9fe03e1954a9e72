// Bytes of any kind on the control socket of the real server: it answers or hangs up, and serves the next
// one.
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "api/server.hpp"
#include "core/fd.hpp"
#include "fuzz.hpp"
#include "handlers.hpp"

namespace sluice::fuzz {
namespace {

class Daemon {
  public:
    Daemon() : server_({"", path(), {}, {}}, handlers()) {
        const auto started = server_.start();
        require(started.has_value(), "the server starts");
    }
    ~Daemon() { std::filesystem::remove_all(folder_); }

    // Sends, closes its side, and reads to the end, or until nothing has come for `patience`: the server
    // waits ten seconds for the rest of half a request.
    std::string ask(std::string_view bytes, timeval patience) const {
        const Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path().c_str(), sizeof(address.sun_path) - 1);
        setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        require(connect(fd.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)) == 0,
                "the server accepts a connection");
        // It may hang up before it has read all; then there is no more to send.
        while (!bytes.empty()) {
            const ssize_t n = send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n <= 0)
                break;
            bytes.remove_prefix(static_cast<size_t>(n));
        }
        shutdown(fd.get(), SHUT_WR);
        std::string reply;
        char buffer[1 << 16];
        ssize_t n = 0;
        while ((n = recv(fd.get(), buffer, sizeof(buffer), 0)) > 0)
            reply.append(buffer, static_cast<size_t>(n));
        require(n == 0 || errno == ECONNRESET || errno == EAGAIN, "the server's end of the connection works");
        return reply;
    }

  private:
    std::string path() const { return folder_ + "/control.sock"; }

    std::string folder_ = [] {
        char name[] = "/tmp/sluice-fuzz-XXXXXX";
        return std::string(mkdtemp(name));
    }();
    Server server_;
};

} // namespace
} // namespace sluice::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    using namespace sluice;
    static const fuzz::Daemon daemon;
    const auto reply = daemon.ask(fuzz::text_of(data, size), {0, 5'000});
    fuzz::require(reply.empty() || reply.starts_with("HTTP/1."), "it speaks HTTP or nothing");
    static unsigned asked;
    if (asked++ % 16)
        return 0;
    const auto healthy = daemon.ask("GET /-/healthy HTTP/1.0\r\n\r\n", {10, 0});
    fuzz::require(healthy.find(" 200 ") != std::string::npos, "the next client is served");
    return 0;
}
