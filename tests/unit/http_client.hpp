// A small HTTP client for tests of the API, by libcurl: any method, header, source address, TCP or unix.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include <curl/curl.h>

namespace sluice::test {

struct HttpRequest {
    std::string method = "GET";
    std::string url;         // "http://127.0.0.1:1234/metrics"
    std::string unix_socket; // "" = TCP
    std::string source;      // local address, "" = any
    std::string header = {}; // one more header line
    std::string body = {};
    std::string ca = {};             // file: trusted CA of an https server
    std::string cert = {}, key = {}; // files: client certificate
    std::string login = {};          // "user:password"
    long tls_versions = CURL_SSLVERSION_DEFAULT;
};

struct HttpReply {
    CURLcode error = CURLE_OK;
    long status = 0;
    double seconds = 0;
    std::string body, content_type;
};

inline HttpReply http(const HttpRequest &request) {
    const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), curl_easy_cleanup);
    const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(
        request.header.empty() ? nullptr : curl_slist_append(nullptr, request.header.c_str()),
        curl_slist_free_all);
    HttpReply reply;
    const auto set = [&](CURLoption option, auto value) { curl_easy_setopt(curl.get(), option, value); };
    set(CURLOPT_URL, request.url.c_str());
    set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
    set(CURLOPT_NOPROXY, "*");
    set(CURLOPT_TIMEOUT, 5L);
    set(CURLOPT_HTTPHEADER, headers.get());
    if (request.method == "HEAD")
        set(CURLOPT_NOBODY, 1L);
    if (!request.unix_socket.empty())
        set(CURLOPT_UNIX_SOCKET_PATH, request.unix_socket.c_str());
    if (!request.source.empty())
        set(CURLOPT_INTERFACE, request.source.c_str());
    if (!request.body.empty()) {
        set(CURLOPT_POSTFIELDS, request.body.c_str());
        set(CURLOPT_POSTFIELDSIZE, static_cast<long>(request.body.size()));
    }
    for (const auto &[option, value] : {std::pair{CURLOPT_CAINFO, &request.ca},
                                        {CURLOPT_SSLCERT, &request.cert},
                                        {CURLOPT_SSLKEY, &request.key},
                                        {CURLOPT_USERPWD, &request.login}})
        if (!value->empty())
            set(option, value->c_str());
    set(CURLOPT_SSLVERSION, request.tls_versions);
    set(CURLOPT_WRITEDATA, &reply.body);
    set(
        CURLOPT_WRITEFUNCTION, +[](char *data, size_t, size_t size, void *body) {
            static_cast<std::string *>(body)->append(data, size);
            return size;
        });
    reply.error = curl_easy_perform(curl.get());
    const char *type = nullptr;
    curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &reply.status);
    curl_easy_getinfo(curl.get(), CURLINFO_TOTAL_TIME, &reply.seconds);
    curl_easy_getinfo(curl.get(), CURLINFO_CONTENT_TYPE, &type);
    reply.content_type = type ? type : "";
    return reply;
}

} // namespace sluice::test
