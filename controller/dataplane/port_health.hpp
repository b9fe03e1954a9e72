// Whether a port does what its policy asks, and in the operator's words why not.
#pragma once

#include <string>
#include <vector>

#include "dataplane/facts.hpp"

namespace sluice {

// Where the policy uses a port.
struct PortRole {
    bool from = false;    // frames arrive there, and meet a program
    bool to = false;      // frames are redirected to it
    bool wire = false;    // frames that arrive there are forwarded whatever they are (xconnect)
    bool unheard = false; // frames come to it by generic XDP or tc, whose sends no tracepoint tells
    bool by_tc = false;   // all frames come to it by tc: by its qdisc, not as redirected frames
    bool ways = false;    // classes of frames that arrive there have ways of `when_full` but mark and drop
};
PortRole role_of(const CompiledPolicy &policy, uint32_t port);

// May frames be redirected to it? Else they are left to the kernel: its devmap entry is taken out.
bool takes_frames(const PortFacts &facts);

// Everything that hurts, with its cure, as one line; empty when all is well.
std::string port_health(const PortFacts &facts, const Port &port, PortRole role);

} // namespace sluice
