// The maps of the policy file, one function pair each: how it is read and what its table of keys looks like.
// Reading checks what can be seen within the map; check.hpp has what needs the rest of the file.
#pragma once

#include "policy/keys.hpp"

namespace sluice {

// policy_keys.cpp: the outermost map.
Policy read_policy(Reader &r, const Node &root);
Section policy_section();

// port_keys.cpp. The result has one entry per entry of the map, in order, even where something was reported.
std::vector<Port> read_ports(Reader &r, const Node &node);
Section port_section();
Section overhead_section();

// flow_control_keys.cpp: what a port does with more than it can send.
SpillQueue read_spill(Reader &r, const Node &node);
Section spill_section();
Pause read_pause(Reader &r, const Node &node);
Section pause_section();

// transition_keys.cpp: same length and order as the list.
std::vector<Transition> read_transitions(Reader &r, const Node &node);
Section transition_section();

// aqm_keys.cpp
void read_aqm(Reader &r, const Node &node, Aqm &out);
Section aqm_section();
Section l4s_section();

// match_keys.cpp: a list of match entries.
std::vector<Match> read_matches(Reader &r, const Node &node);
Section match_section();

// class_keys.cpp: fills t.classes and t.groups; a preset's name stands for its classes.
void read_classes(Reader &r, const Node &node, Transition &t);
Section class_section();
Section trim_section();

// presets.cpp
std::vector<TrafficClass> preset_classes(size_t preset); // index into preset_words

// tenant_keys.cpp
void read_tenants(Reader &r, const Node &node, Transition &t);
Section tenants_section();
Section tenant_section();
Section tenant_group_section();
Section tenant_default_section();

} // namespace sluice
