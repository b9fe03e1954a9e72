// What each step of the ingress program costs: it runs cut off after one step more each time (parts.bpf.c).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "dataplane/dataplane.hpp"

struct parts;

namespace sluice::bench {

class Parts {
  public:
    // On the maps of a running instance, whose ingress program is `ingress_fd` and port 0 forwards to port 1.
    static Result<Parts> open(int ingress_fd, Dataplane &dataplane);
    // Each program with the name of its last step, in the order of the steps.
    Result<> each(const std::function<Result<>(const std::string &step, int fd)> &measure) const;

  private:
    struct Deleter {
        void operator()(parts *s) const;
    };
    std::unique_ptr<parts, Deleter> object_;
};

} // namespace sluice::bench
