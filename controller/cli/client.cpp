#include "cli/client.hpp"

#include <cerrno>
#include <memory>

#include <curl/curl.h>

namespace sluice {
namespace {

constexpr long connect_timeout_s = 5;
constexpr long answer_timeout_s = 60; // a reload may load and verify a new BPF program
constexpr size_t max_answer_bytes = 64 * 1024 * 1024;

struct CurlDeleter {
    void operator()(CURL *curl) const { curl_easy_cleanup(curl); }
};
using Curl = std::unique_ptr<CURL, CurlDeleter>;

size_t append(const char *data, size_t, size_t size, void *body) {
    auto &text = *static_cast<std::string *>(body);
    if (text.size() + size > max_answer_bytes)
        return 0; // curl reports a write error
    text.append(data, size);
    return size;
}

std::string cure_for(long error) {
    if (error == EACCES || error == EPERM)
        return "run sluicectl as root, or as a member of the socket's group";
    return "start the daemon with `systemctl start sluiced`, or name its socket with --control-socket";
}

tl::unexpected<Error> unreachable(CURL *curl, CURLcode code, const std::string &socket) {
    long error = 0;
    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &error);
    const bool no_connection = code == CURLE_COULDNT_CONNECT && error != 0;
    const std::string cause =
        no_connection ? std::strerror(static_cast<int>(error)) : curl_easy_strerror(code);
    return fail("cannot reach sluiced at " + socket + ": " + cause, cure_for(error));
}

} // namespace

Result<HttpAnswer> Client::request(const std::string &path, const std::string *body) const {
    const Curl curl(curl_easy_init());
    if (!curl)
        return fail("start libcurl");
    HttpAnswer answer;
    const std::string url = "http://sluiced" + path; // the host is a label: the socket decides
    curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_UNIX_SOCKET_PATH, control_socket_.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl.get(), CURLOPT_CONNECTTIMEOUT, connect_timeout_s);
    curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, answer_timeout_s);
    curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &answer.body);
    if (body) {
        curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, body->c_str());
        curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body->size()));
    }
    const CURLcode code = curl_easy_perform(curl.get());
    if (code != CURLE_OK)
        return unreachable(curl.get(), code, control_socket_);
    curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &answer.status);
    return answer;
}

} // namespace sluice
