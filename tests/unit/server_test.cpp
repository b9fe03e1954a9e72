// A real HTTP server on TCP and on a unix socket, asked by a real client.
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/listen.hpp"
#include "api/server.hpp"
#include "http_client.hpp"

namespace sluice {
namespace {

using test::http;
using test::HttpReply;

constexpr uid_t root = 0, nobody = 65534;

Snapshot example() {
    return {.version = "0.1.0", .heartbeat_unix_s = 1'700'000'000, .health = "ok"};
}

Handlers handlers() {
    return {[] { return example(); }, [] { return ReloadOutcome{ReloadStatus::applied, 4}; }};
}

bool has(const std::string &text, const std::string &part) {
    return text.find(part) != std::string::npos;
}

class ApiServer : public testing::Test {
  protected:
    void SetUp() override {
        char name[] = "/tmp/sluice-api-XXXXXX";
        directory = mkdtemp(name);
        socket_path = directory / "control.sock";
    }
    void TearDown() override {
        server.reset();
        std::filesystem::remove_all(directory);
    }
    void start(Handlers h = handlers(), const std::string &address = "127.0.0.1:0") {
        server = std::make_unique<Server>(ServerOptions{address, socket_path}, std::move(h));
        const auto started = server->start();
        ASSERT_TRUE(started) << to_string(started.error());
    }
    std::string url(const std::string &path, const std::string &host = "127.0.0.1") const {
        return "http://" + host + ":" + std::to_string(server->port()) + path;
    }
    HttpReply tcp(const std::string &path) const { return http({.url = url(path)}); }
    HttpReply control(const std::string &path, const std::string &method = "GET") const {
        return http({.method = method, .url = "http://sluiced" + path, .unix_socket = socket_path});
    }

    std::filesystem::path directory;
    std::string socket_path;
    std::unique_ptr<Server> server;
};

TEST_F(ApiServer, ServesTheSameReadsOnBothListeners) {
    start();
    for (const auto *path : {"/", "/metrics", "/-/healthy", "/api/v1/status"}) {
        EXPECT_EQ(tcp(path).status, 200) << path;
        EXPECT_EQ(control(path).status, 200) << path;
    }
    EXPECT_EQ(tcp("/metrics").content_type, "text/plain; version=0.0.4; charset=utf-8");
    EXPECT_EQ(tcp("/api/v1/status").content_type, "application/json");
    EXPECT_TRUE(has(tcp("/metrics").body, "\nsluice_up 1\n"));
    EXPECT_EQ(tcp("/-/ready").status, 503) << "the example's heartbeat is years old";
    EXPECT_EQ(http({.method = "HEAD", .url = url("/metrics")}).status, 200);
}

TEST_F(ApiServer, ReloadsByTheControlSocketOnly) {
    start();
    EXPECT_EQ(http({.method = "POST", .url = url("/api/v1/reload")}).status, 403);
    const auto reply = control("/api/v1/reload", "POST");
    EXPECT_EQ(reply.status, geteuid() == root ? 200 : 403) << reply.body;
}

TEST_F(ApiServer, RefusesWritesOfOtherUsersByPeerCredentials) {
    if (geteuid() != root)
        GTEST_SKIP() << "skipped: needs root to become another user";
    start();
    std::filesystem::permissions(directory, std::filesystem::perms::all);
    ASSERT_EQ(chmod(socket_path.c_str(), 0666), 0); // let the request come as far as the check
    ASSERT_EQ(seteuid(nobody), 0);
    const auto write = control("/api/v1/reload", "POST"), read = control("/-/healthy");
    ASSERT_EQ(seteuid(root), 0);
    EXPECT_EQ(write.status, 403) << write.body;
    EXPECT_EQ(read.status, 200);
}

TEST_F(ApiServer, ListensOnIpv6AndOnEveryAddress) {
    start(handlers(), "[::1]:0");
    EXPECT_EQ(http({.url = url("/-/healthy", "[::1]")}).status, 200);
    EXPECT_NE(tcp("/-/healthy").status, 200);
    server.reset();
    start(handlers(), ":0");
    EXPECT_EQ(http({.url = url("/-/healthy", "[::1]")}).status, 200);
    EXPECT_EQ(tcp("/-/healthy").status, 200);
}

TEST_F(ApiServer, WorksWithoutTcp) {
    start(handlers(), "");
    EXPECT_EQ(server->port(), 0);
    EXPECT_EQ(control("/-/healthy").status, 200);
}

TEST_F(ApiServer, SocketIsForOwnerAndGroupAndIsRemoved) {
    start();
    struct stat info {};
    ASSERT_EQ(stat(socket_path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0660u);
    server->stop();
    EXPECT_FALSE(std::filesystem::exists(socket_path));
}

TEST_F(ApiServer, ReplacesAStaleSocketButNotALiveOneNorAFile) {
    { // bound, never removed: what a killed daemon leaves
        sockaddr_un address{.sun_family = AF_UNIX};
        socket_path.copy(address.sun_path, sizeof(address.sun_path) - 1);
        const Fd stale(socket(AF_UNIX, SOCK_STREAM, 0));
        ASSERT_EQ(bind(stale.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)), 0);
    }
    start();
    EXPECT_EQ(control("/-/healthy").status, 200);

    Server second({"", socket_path}, handlers());
    const auto refused = second.start();
    ASSERT_FALSE(refused);
    EXPECT_TRUE(has(to_string(refused.error()), socket_path)) << to_string(refused.error());
    EXPECT_EQ(control("/-/healthy").status, 200) << "the first must not suffer";

    const auto file = directory / "file";
    std::ofstream(file) << "precious";
    EXPECT_FALSE(Server({"", file}, handlers()).start());
    EXPECT_TRUE(std::filesystem::exists(file));
}

TEST_F(ApiServer, SecondListenerOnTheSamePortIsAnErrorThatNamesIt) {
    start();
    const auto address = "127.0.0.1:" + std::to_string(server->port());
    const auto refused = Server({address, ""}, handlers()).start();
    ASSERT_FALSE(refused);
    EXPECT_TRUE(has(to_string(refused.error()), address)) << to_string(refused.error());
}

TEST_F(ApiServer, AnExceptionOfAHandlerIsAnAnswer) {
    start({[]() -> Snapshot { throw std::runtime_error("no snapshot"); }, nullptr});
    EXPECT_EQ(tcp("/metrics").status, 500);
    EXPECT_EQ(tcp("/-/healthy").status, 200);
}

TEST_F(ApiServer, BoundsHeaderAndBody) {
    start();
    const auto big_header = http({.url = url("/metrics"), .header = "X-Big: " + std::string(20'000, 'x')});
    EXPECT_TRUE(big_header.status == 431 || big_header.status == 413) << big_header.status;
    const auto body = [&](const std::string &header, size_t size) {
        return http(
            {.method = "POST", .url = url("/metrics"), .header = header, .body = std::string(size, 'x')});
    };
    EXPECT_EQ(body("Expect:", 1000).status, 405);
    EXPECT_EQ(body("Expect: 100-continue", 65 * 1024).status, 405) << "refused, and not read";
    EXPECT_EQ(body("Transfer-Encoding: chunked", 1000).status, 405);
    const auto reload = [&](const std::string &header, size_t size) {
        return http({.method = "POST",
                     .url = "http://sluiced/api/v1/reload",
                     .unix_socket = socket_path,
                     .header = header,
                     .body = std::string(size, 'x')});
    };
    if (geteuid() == root) {
        EXPECT_EQ(reload("Expect: 100-continue", 65 * 1024).status, 413);
        EXPECT_EQ(reload("Transfer-Encoding: chunked", 1000).status, 411);
    }
    EXPECT_EQ(tcp("/-/healthy").status, 200);
}

Fd idle_connection(uint16_t port, const char *source) {
    Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in from{.sin_family = AF_INET}, to{.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, source, &from.sin_addr);
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    bind(fd.get(), reinterpret_cast<sockaddr *>(&from), sizeof(from));
    connect(fd.get(), reinterpret_cast<sockaddr *>(&to), sizeof(to));
    send(fd.get(), "G", 1, MSG_NOSIGNAL); // a request that never ends
    return fd;
}

TEST_F(ApiServer, IdleConnectionsDoNotBlockOthers) {
    start();
    std::vector<Fd> idle;
    for (int i = 0; i < 50; i++)
        idle.push_back(idle_connection(server->port(), "127.0.0.1"));
    for (const auto *source : {"127.0.0.1", "127.0.0.2"}) {
        const auto reply = http({.url = url("/-/healthy"), .source = source});
        EXPECT_EQ(reply.status, 200) << source;
        EXPECT_LT(reply.seconds, 0.2) << source;
    }
}

TEST_F(ApiServer, OneAddressCannotTakeAllConnections) {
    start();
    std::vector<Fd> idle;
    for (int i = 0; i < 400; i++)
        idle.push_back(idle_connection(server->port(), "127.0.0.1"));
    const auto reply = http({.url = url("/-/healthy"), .source = "127.0.0.2"});
    EXPECT_EQ(reply.status, 200);
    EXPECT_LT(reply.seconds, 1) << "nobody waits for the idle ones";
}

// Somebody of the socket's group who means harm: half a header, half a body, silence.
TEST_F(ApiServer, AThousandHalfRequestsOnTheControlSocketDoNotBlockOthers) {
    Handlers h = handlers();
    h.apply = [](const ApplyRequest &) { return ReloadOutcome{ReloadStatus::applied, 4}; };
    start(h);
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    sockaddr_un address{.sun_family = AF_UNIX};
    socket_path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    const std::string halves[] = {
        "", "G", "GET /api/v1/sta",
        "POST /api/v1/apply HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n{"};
    std::vector<Fd> idle;
    const auto begin = std::chrono::steady_clock::now();
    for (size_t i = 0; i < 1000; i++) {
        idle.emplace_back(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        ASSERT_GE(idle.back().get(), 0) << i;
        ASSERT_EQ(connect(idle.back().get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)), 0)
            << i;
        const std::string &half = halves[i % std::size(halves)];
        send(idle.back().get(), half.data(), half.size(), MSG_NOSIGNAL);
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
    auto read = control("/api/v1/status"); // the crowd may still stand in the door for a moment
    for (int i = 0; i < 20 && read.status != 200; i++) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        read = control("/api/v1/status");
    }
    EXPECT_EQ(read.status, 200) << curl_easy_strerror(read.error);
    EXPECT_LT(read.seconds, 0.5);
    if (geteuid() == root) {
        EXPECT_EQ(control("/api/v1/reload", "POST").status, 200);
    }
}

TEST_F(ApiServer, TakesALargePolicyFromRootAndFromNobodyElse) {
    if (geteuid() != root)
        GTEST_SKIP() << "skipped: needs root";
    std::atomic<size_t> got = 0; // written by a thread of the server
    Handlers h = handlers();
    h.apply = [&](const ApplyRequest &request) {
        got = request.bytes.text.size();
        return ReloadOutcome{ReloadStatus::applied, 4};
    };
    start(h);
    const auto apply = [&](size_t size) {
        const std::string text(size, 'x');
        return http({.method = "POST",
                     .url = "http://sluiced/api/v1/apply",
                     .unix_socket = socket_path,
                     .header = "Content-Type: application/json",
                     .body = R"({"file": "p", "text": ")" + text + "\"}"});
    };
    EXPECT_EQ(apply(3'000'000).status, 200);
    EXPECT_EQ(got, 3'000'000u);
    EXPECT_EQ(apply(33 * 1024 * 1024).status, 413);
    std::filesystem::permissions(directory, std::filesystem::perms::all);
    ASSERT_EQ(chmod(socket_path.c_str(), 0666), 0);
    ASSERT_EQ(seteuid(nobody), 0);
    got = 0;
    const auto small = apply(1000), large = apply(2'000'000);
    ASSERT_EQ(seteuid(root), 0);
    EXPECT_EQ(small.status, 403);
    EXPECT_EQ(large.status, 403);
    EXPECT_EQ(got, 0u);
}

TEST_F(ApiServer, ASlowReloadDoesNotBlockReads) {
    std::atomic<bool> entered = false, leave = false;
    start({[] { return example(); },
           [&] {
               entered = true;
               entered.notify_all();
               leave.wait(false);
               return ReloadOutcome{ReloadStatus::applied, 1};
           }});
    if (geteuid() != root)
        GTEST_SKIP() << "skipped: reload needs root";
    std::jthread reloader([&] { control("/api/v1/reload", "POST"); });
    entered.wait(false);
    EXPECT_EQ(tcp("/-/healthy").status, 200);
    for (int i = 0; i < 5; i++)
        EXPECT_EQ(control("/-/healthy").status, 200);
    leave = true;
    leave.notify_all();
}

TEST_F(ApiServer, StopEndsAllThreadsWithOpenConnections) {
    start();
    const auto idle = idle_connection(server->port(), "127.0.0.1");
    server->stop();
    server->stop();
    EXPECT_EQ(server->port(), 0);
}

} // namespace
} // namespace sluice
