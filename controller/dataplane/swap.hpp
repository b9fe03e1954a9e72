// Puts one instance in the place of another while packets flow: the interfaces' links stay, and the kernel
// exchanges the program behind each atomically.
#pragma once

#include "dataplane/data_path.hpp"

namespace sluice {

// Queues, tc programs, packet sockets and pass programs of the egress ports: what must be there before the
// first frame is sent their way. What `old` has at the same devices goes over to `next`.
Result<> open_side_paths(DataPath &next, DataPath &old, const CompiledPolicy &policy);

// Those of one port; and their end, where its device was `ifindex`.
Result<> open_side_path(DataPath &next, DataPath &old, const CompiledPolicy &policy, uint32_t index);
void close_side_path(DataPath &path, uint32_t index, uint32_t ifindex);

// Attaches `next`, egress before ingress. A fast port that `old` serves changes over, others get a link of
// their own. The tracepoints of `old` stay: its last frames are still to be counted. On failure call
// put_back().
Result<> put_in_place(DataPath &next, const DataPath &old, const CompiledPolicy &policy);
// Undoes as much of both as was done.
void put_back(DataPath &next, DataPath &old);
// Ports that `old` serves and `next` does not are the kernel's from now on.
void detach_others(const DataPath &next, DataPath &old);

// Pass programs for slow ports whose drivers want one. Where somebody else's program is attached already, it
// does the same service.
void attach_pass_programs(DataPath &path, const CompiledPolicy &policy);
// Attaches the port's program, or exchanges it on the device that has one of ours: without a gap. Where XDP
// cannot be attached, and the policy leaves the choice, loads and attaches the one for tc ingress instead.
Result<> attach_ingress(DataPath &path, IngressPort &in, const CompiledPolicy &policy);
// Tells the port's program in which mode it runs: in generic mode it has to count what it sends.
void note_mode(Maps &maps, uint32_t port, const PortFacts &facts);

} // namespace sluice
