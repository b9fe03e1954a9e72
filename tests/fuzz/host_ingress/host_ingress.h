/* The steps parse, route, classify and act of bpf_ingress/, compiled for the host from the very same text. The frame
 * lies in the first 4 GiB: struct xdp_md has 32-bit pointers. */
#pragma once

#include <linux/types.h>

#include <sluice/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

struct host_prefix {
	struct sluice_prefix_key key;
	struct sluice_prefix value;
};

struct host_tables {
	struct sluice_ingress_config config;
	struct sluice_port port; /* egress */
	struct sluice_transition transition;
	const struct host_prefix *prefixes;
	__u32 prefix_count;
};

/* What the steps found. */
struct host_packet {
	__u32 class_id, hash, length, l3_offset;
	__u8 family, proto, dscp, tagged, has_ports;
	__u16 tci, sport, dport;
	__u32 begin;     /* of the frame when it leaves */
	__u8 exit_tagged;
};

/* Interfaces: that of the frame, whose VLANs are all known; the port that routes lead to; a VLAN in a VLAN on it, for odd
 * destination ports. */
enum { HOST_FAST = 1, HOST_SLOW = 7, HOST_SLOW_VLAN = 8 };

/* The steps on the frame at [begin, end); a frame that may be forwarded gets a hop, CE, DSCP 46 and the VLAN tags of its way out. Returns an outcome,
 * `out` is filled for SLUICE_FORWARD. */
__u32 host_ingress(const struct host_tables *with, __u32 begin, __u32 end, struct host_packet *out);

#ifdef __cplusplus
}
#endif
