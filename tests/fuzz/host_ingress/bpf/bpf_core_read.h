/* Likewise: the host has whatever is asked for. */
#pragma once

#define bpf_core_enum_value_exists(type, value) 1
