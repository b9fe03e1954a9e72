#include <linux/bpf.h>
#include <sanitizer/asan_interface.h>

#include <sluice/abi.h>

/* The programs' constants are a variable here. */
#define config (*host_config)
#include "../../../bpf_ingress/act.h"
#include "../../../bpf_ingress/classify.h"

#undef config

#include "host_ingress.h"

const volatile struct sluice_ingress_config *host_config;
static const struct host_tables *tables;

static int holds(const struct host_prefix *p, const struct sluice_prefix_key *key)
{
	const __u8 *a = (const __u8 *)&p->key.table, *b = (const __u8 *)&key->table;
	__u32 bit;

	if (p->key.bits > key->bits)
		return 0;
	for (bit = 0; bit < p->key.bits; bit++)
		if ((a[bit / 8] ^ b[bit / 8]) & 0x80 >> bit % 8)
			return 0;
	return 1;
}

static void *longest_prefix(const struct sluice_prefix_key *key)
{
	const struct host_prefix *best = 0;
	__u32 i;

	for (i = 0; i < tables->prefix_count; i++)
		if (holds(&tables->prefixes[i], key) && (!best || best->key.bits < tables->prefixes[i].key.bits))
			best = &tables->prefixes[i];
	return best ? (void *)&best->value : 0;
}

static const struct sluice_place *vlan_place(const struct sluice_place *from)
{
	static const struct sluice_place fast = {HOST_FAST},
					 slow = {HOST_SLOW, SLUICE_TAG(0x88a8, 7) | SLUICE_TAG(0x8100, 5) << 16};

	if (from->tags)
		return &fast;
	return from->ifindex == HOST_SLOW_VLAN ? &slow : 0;
}

/* Room in front of the frame is given out byte by byte. */
long host_adjust_head(struct xdp_md *ctx, int delta)
{
	ctx->data += delta;
	if (delta < 0)
		ASAN_UNPOISON_MEMORY_REGION((void *)(long)ctx->data, -delta);
	else
		ASAN_POISON_MEMORY_REGION((void *)(long)(ctx->data - delta), delta);
	return 0;
}

void *host_lookup(const void *map, const void *key)
{
	if (map == &sl_prefixes)
		return longest_prefix(key);
	if (map == &sl_vlans)
		return (void *)vlan_place(key);
	if (map == &sl_ports)
		return (void *)&tables->port;
	if (map == &sl_transitions)
		return (void *)&tables->transition;
	return 0;
}

long host_fib_lookup(struct bpf_fib_lookup *fib)
{
	fib->ifindex = bpf_ntohs(fib->dport) & 1 ? HOST_SLOW_VLAN : HOST_SLOW;
	__builtin_memset(fib->dmac, 0x22, 6);
	__builtin_memset(fib->smac, 0x11, 6);
	return BPF_FIB_LKUP_RET_SUCCESS;
}

__u32 host_ingress(const struct host_tables *with, __u32 begin, __u32 end, struct host_packet *out)
{
	struct xdp_md ctx = {.data = begin, .data_end = end, .ingress_ifindex = HOST_FAST};
	struct packet p = {};
	struct route r = {};
	struct sluice_request q = {};
	__u32 outcome;

	tables = with;
	host_config = &with->config;
	outcome = parse(&ctx, &p);
	if (outcome == SLUICE_FORWARD)
		outcome = route(&ctx, &p, &r);
	if (outcome != SLUICE_FORWARD)
		return outcome;
	q.class_id = classify(&with->transition, 0, &p);
	set_flow(&with->transition, &p, &q);
	*out = (struct host_packet){
		.class_id = q.class_id, .hash = q.hash, .family = p.family, .proto = p.proto, .dscp = p.tos >> 2,
		.tagged = p.tagged, .tci = p.tci, .has_ports = p.has_ports, .sport = p.sport, .dport = p.dport,
		.length = p.length, .l3_offset = p.l3_offset,
	};
	if (!with->config.xconnect)
		hop(&p, &r);
	set_ce(&p);
	set_dscp(&p, 46);
	out->exit_tagged = with->config.xconnect ? p.tagged : p.exit.count;
	if (retag(&p))
		return SLUICE_OUTCOMES;
	out->begin = ctx.data;
	return SLUICE_FORWARD;
}
