// HTTP over the control socket of the daemon, one request at a time.
#pragma once

#include <string>

#include "core/result.hpp"

namespace sluice {

struct HttpAnswer {
    long status = 0;
    std::string body;
};

class Client {
  public:
    explicit Client(std::string control_socket) : control_socket_(std::move(control_socket)) {}

    // Errors: the daemon cannot be reached or does not answer in time; any HTTP status is an answer.
    Result<HttpAnswer> get(const std::string &path) const { return request(path, nullptr); }
    Result<HttpAnswer> post(const std::string &path, const std::string &body = {}) const {
        return request(path, &body);
    }

  private:
    Result<HttpAnswer> request(const std::string &path, const std::string *body) const; // a body: POST

    std::string control_socket_;
};

} // namespace sluice
