// The qdisc that spilled flows wait in: a token bucket whose rate follows what they get of the port, and
// under it the queue that the policy names. Speaks rtnetlink; touches nothing that it did not make.
#pragma once

#include <cstdint>
#include <string>

#include "core/result.hpp"
#include "dataplane/netlink_messages.hpp"
#include "policy/policy.hpp"

namespace sluice {

class SpillQdisc {
  public:
    struct Config {
        uint32_t ifindex = 0;
        std::string device; // for messages
        SpillQueue queue;
        uint32_t overhead = 0;  // bytes that framing adds
        uint32_t mtu_bytes = 0; // of a full frame on the wire
    };

    // Refuses a device whose root qdisc somebody else chose. One that an earlier daemon left is taken over.
    static Result<SpillQdisc> make(const Config &config, uint64_t bytes_per_s);
    SpillQdisc(SpillQdisc &&other) noexcept;
    SpillQdisc &operator=(SpillQdisc &&other) = delete;
    // Removes the qdisc, if it still is ours.
    ~SpillQdisc();
    // Leaves the qdisc where it is: to the next owner, or to remove_left().
    void leave() { made_ = false; }
    // Removes the qdisc that an earlier daemon left at this device, if it still is ours.
    static Result<> remove_left(uint32_t ifindex, const std::string &device);

    Result<> set_rate(uint64_t bytes_per_s);
    Result<QdiscStats> stats();

  private:
    SpillQdisc(Config config, Netlink netlink) : config_(std::move(config)), netlink_(std::move(netlink)) {}
    static Result<SpillQdisc> open(const Config &config);
    Result<RootQdisc> root();
    Result<> shape(uint64_t bytes_per_s, uint16_t flags);
    Result<> add_queue();
    Result<> remove();
    Result<> talk(NetlinkRequest &request, const Netlink::OnMessage &on_message, const char *what);

    Config config_;
    Netlink netlink_;
    bool made_ = false;
};

} // namespace sluice
