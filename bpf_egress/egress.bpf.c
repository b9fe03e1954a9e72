// SPDX-License-Identifier: GPL-2.0-only
//
// The door of the TX ring. After each bulk the hook stamps what went in, reads how full the ring is and how old its
// head, and predicts when it will be empty; the redirect tracepoints count what the kernel lost after our verdict.
// Two hooks stand at the same door: the tracepoint (default, once per bulk) and the devmap program (per frame).

#include <sluice/admit.bpf.h>

#include <bpf/bpf_tracing.h>

#include "slow_path.h"
#include "stamp_ring.h"

const volatile __u32 abi_version = SLUICE_ABI_VERSION; /* checked by the controller before it loads */
const volatile __u32 cpus = 1; /* possible CPUs: rows of the per-CPU arrays */
const volatile __u32 netns = 0; /* inode of the network namespace: tracepoints see the devices of all of them */
const volatile __u32 devmap_hook = 0; /* 1: sluice_devmap_frame reads the ring, not the tracepoint */

static __always_inline struct sluice_tx *tx_of(__u32 port, __u32 cpu)
{
	__u32 row = port * cpus + cpu;

	return bpf_map_lookup_elem(&sl_tx, &row);
}

static __always_inline __u32 *port_of(__u32 ifindex)
{
	return bpf_map_lookup_elem(&sl_port_of, &ifindex);
}

/* ifindex is unique within a network namespace only. */
static __always_inline int is_ours(const struct net_device *dev)
{
	return dev->nd_net.net->ns.inum == netns;
}

/* The port that the device is, or 0. Most bulks leave by the port of the CPU's last one. */
static __always_inline struct sluice_port *port_of_device(const struct net_device *dev, struct sluice_clock *clock,
							  __u32 *port_id)
{
	__u32 ifindex = dev->ifindex, *known;
	struct sluice_port *port;

	*port_id = clock->egress;
	port = bpf_map_lookup_elem(&sl_ports, port_id);
	if (port && port->ifindex == ifindex)
		return is_ours(dev) ? port : 0;
	known = port_of(ifindex);
	if (!known || !is_ours(dev))
		return 0;
	*port_id = *known;
	clock->egress = *known;
	return bpf_map_lookup_elem(&sl_ports, port_id);
}

static __always_inline __u64 waiting_ns(const struct sluice_port *port, const struct sluice_reading *reading)
{
	__u64 bytes = reading->waiting_bytes;

	if (!port->ns_per_byte)
		return reading->sojourn_ns; /* no rate known yet: as long as the head has waited */
	if (bytes > 1ull << 32)
		bytes = 1ull << 32;
	return (bytes * port->ns_per_byte) >> SLUICE_INVERSE_SHIFT;
}

/* The bulk ends here for everyone who shares this CPU's clock; a full bulk is likely followed by more frames. */
static __always_inline __u64 refresh_clock(struct sluice_clock *clock, __u32 frames)
{
	__u64 now = bpf_ktime_get_ns();

	clock->now_ns = now;
	clock->jiffies = bpf_jiffies64();
	clock->left = frames == MAX_BULK ? SLUICE_CLOCK_SHARE - 1 : 0;
	return now;
}

static __always_inline __u64 pending_bytes(const struct sluice_tx *tx, __u32 frames)
{
	__u64 bytes = 0;
	__u32 i;

	for (i = 0; i < MAX_BULK; i++) {
		if (i >= frames)
			break;
		bytes += tx->pending[(tx->tail + i) & (SLUICE_PENDING - 1)];
	}
	return bytes;
}

/* Stamp the frames of this bulk that the ring took; returns their bytes. */
static __always_inline __u64 stamp_bulk(struct sluice_tx *tx, struct sluice_stamps *stamps, __u32 mask, __u64 first,
					__u32 sent, __u64 in_bytes, __u64 now)
{
	__u64 bytes = 0;
	__u32 i;

	for (i = 0; i < MAX_BULK; i++) {
		if (i >= sent)
			break;
		stamp(stamps, mask, first + i, now, in_bytes + bytes);
		bytes += tx->pending[(tx->tail + i) & (SLUICE_PENDING - 1)];
	}
	return bytes;
}

/* Guard of the port: CoDel on the true sojourn of the ring's head, once per bulk. Works without the controller. */
static __always_inline void guard(struct sluice_tx *tx, const struct sluice_port *port,
				  const struct sluice_reading *reading)
{
	if (sluice_codel_signal(&tx->guard, &port->guard, reading->sojourn_ns, reading->time_ns))
		tx->signals++;
	if (!tx->guard.first_above_ns)
		tx->signals = 0;
}

/* Each frame of the bulk met a ring whose head had this age: what a frame waits in a FIFO is what the head has waited. */
static __always_inline void count_sojourn(struct sluice_tx *tx, const struct sluice_reading *reading, __u32 frames)
{
	__u32 bucket = sluice_delay_bucket(reading->sojourn_ns);

	if (bucket >= SLUICE_DELAY_BUCKETS)
		return;
	tx->sojourn[bucket] += frames;
	tx->sojourn_ns += reading->sojourn_ns * frames;
}

/* The ring that `cpu` feeds, its stamps, and what the driver shows of it. */
struct ring_access {
	struct sluice_ring *ring;
	struct sluice_stamps *stamps;
	struct sluice_ring_view view;
};

static __always_inline int open_ring(struct ring_access *a, const struct sluice_port *port, __u32 port_id,
				     const struct net_device *dev, __u32 cpu)
{
	const struct sluice_ring_site site = {.device = (__u64)dev, .cpu = cpu, .cpus = cpus};
	__u32 row;

	if (sluice_read_ring(port->reader, ring_readers, &site, &a->view))
		return -1;
	row = port_id * cpus + (a->view.index < cpus ? a->view.index : 0);
	a->ring = bpf_map_lookup_elem(&sl_rings, &row);
	a->stamps = bpf_map_lookup_elem(&sl_stamps, &row);
	return a->ring && a->stamps ? 0 : -1;
}

static __always_inline void publish(struct ring_access *a, struct sluice_tx *tx, const struct sluice_port *port,
				    const struct net_device *dev, __u64 now)
{
	a->ring->device = (__u64)dev;
	tx->ring = a->view.index;
	observe(a->ring, a->stamps, &a->view, port, now, &a->ring->hook);
	if (!port->ring_rules)
		return;
	tx->empty_at_ns = now + waiting_ns(port, &a->ring->hook);
	guard(tx, port, &a->ring->hook);
}

/* The ring has just taken `sent` frames of this CPU. Where several CPUs feed it, whoever comes first accounts for what
 * came in between; the other then finds that its frames are behind the producer already. Returns the bytes of the bulk. */
static __always_inline __u64 read_after_bulk(struct sluice_tx *tx, const struct sluice_port *port, __u32 port_id,
					    const struct net_device *dev, __u32 cpu, __u32 sent, __u64 now)
{
	struct ring_access a = {};
	__u64 before, after, bytes;
	__u32 mask;

	if (open_ring(&a, port, port_id, dev, cpu))
		return pending_bytes(tx, sent);
	mask = stamp_mask(&a.view);
	before = a.ring->produced;
	after = before + sent;
	if (a.view.modulus) {
		__u64 gap = producer_gap(a.ring, &a.view);

		/* Less than our own bulk: another CPU has counted it, or the stack has filled a whole ring since. */
		after = before + (gap < sent && a.ring->cpu == cpu ? gap + a.view.modulus : gap);
	}
	__sync_val_compare_and_swap(&a.ring->produced, before, after);
	a.ring->cpu = cpu;
	if (after - sent > before)
		stamp_foreign(a.ring, a.stamps, mask, before, after - sent, now);
	bytes = stamp_bulk(tx, a.stamps, mask, after - sent, sent, a.ring->in_bytes, now);
	__sync_fetch_and_add(&a.ring->in_bytes, bytes);
	if (a.view.occupancy <= sent)
		a.ring->empties++;
	publish(&a, tx, port, dev, now);
	count_sojourn(tx, &a.ring->hook, sent);
	return bytes;
}

/* Devmap hook: the driver has taken `sent` of the frames that stood behind the producer and lost the others, which are
 * the last ones. From here on the positions are the driver's again. */
static __always_inline void commit_bulk(struct sluice_tx *tx, const struct sluice_port *port, __u32 port_id,
					const struct net_device *dev, __u32 cpu, __u32 sent, __u64 lost_bytes)
{
	struct ring_access a = {};

	if (open_ring(&a, port, port_id, dev, cpu))
		return;
	a.ring->produced += a.view.modulus ? producer_gap(a.ring, &a.view) : sent;
	__sync_fetch_and_add(&a.ring->in_bytes, -lost_bytes);
	if (a.view.occupancy <= sent)
		a.ring->empties++;
	count_sojourn(tx, &a.ring->hook, sent); /* as read for the last frame of the bulk */
	tx->in_bulk = 0;
}

/* A frame of `wire` bytes is about to enter: frames of one bulk stand behind the producer in the order in which they
 * pass here, and the driver moves it when it takes them. */
static __always_inline void read_before_frame(struct sluice_tx *tx, const struct sluice_port *port, __u32 port_id,
					      const struct net_device *dev, __u32 cpu, __u32 wire, __u64 now)
{
	struct ring_access a = {};
	__u64 gap;

	if (open_ring(&a, port, port_id, dev, cpu))
		return;
	gap = a.view.modulus ? producer_gap(a.ring, &a.view) : tx->in_bulk;
	if (gap) {
		if (gap > tx->in_bulk)
			stamp_foreign(a.ring, a.stamps, stamp_mask(&a.view), a.ring->produced + tx->in_bulk,
				      a.ring->produced + gap, now);
		if (a.view.occupancy <= tx->in_bulk)
			a.ring->empties++;
		a.ring->produced += gap;
		tx->in_bulk = 0;
	}
	stamp(a.stamps, stamp_mask(&a.view), a.ring->produced + tx->in_bulk, now, a.ring->in_bytes);
	__sync_fetch_and_add(&a.ring->in_bytes, wire);
	tx->in_bulk++;
	publish(&a, tx, port, dev, now);
}

SEC("tp_btf/xdp_devmap_xmit")
int BPF_PROG(sluice_devmap_xmit, const struct net_device *from_dev, const struct net_device *to_dev, int sent, int drops,
	     int err)
{
	__u32 cpu = bpf_get_smp_processor_id(), port_id, frames, taken;
	struct sluice_clock *clock = bpf_map_lookup_elem(&sl_clocks, &cpu);
	struct sluice_port *port;
	struct sluice_tx *tx;
	__u64 now, bytes;

	if (!clock)
		return 0;
	port = port_of_device(to_dev, clock, &port_id);
	tx = tx_of(port_id, cpu);
	if (!port || !tx)
		return 0;
	if (tx->head == tx->tail)
		return 0; /* nothing of ours: another program's frames, or those of the instance before this one */
	taken = sent > 0 ? sent : 0;
	frames = taken + (drops > 0 ? drops : 0);
	now = refresh_clock(clock, frames);
	if (taken && !devmap_hook && port->reader != SLUICE_READER_NONE)
		bytes = read_after_bulk(tx, port, port_id, to_dev, cpu, taken, now);
	else
		bytes = pending_bytes(tx, taken);
	if (devmap_hook && port->reader != SLUICE_READER_NONE)
		commit_bulk(tx, port, port_id, to_dev, cpu, taken, pending_bytes(tx, frames) - bytes);
	tx->sent_packets += taken;
	tx->sent_bytes += bytes;
	if (drops > 0)
		tx->drops[err ? SLUICE_KDROP_XMIT_ERROR : SLUICE_KDROP_RING_FULL] += drops;
	tx->tail += frames;
	/* A partial bulk ends the NAPI poll: nothing of ours can still be on its way. */
	if (frames < MAX_BULK || (__s32)(tx->head - tx->tail) < 0)
		tx->tail = tx->head;
	return 0;
}

static __always_inline __u32 drop_reason(int err)
{
	switch (err) {
	case -90: /* EMSGSIZE */
		return SLUICE_KDROP_TOO_BIG;
	case -100: /* ENETDOWN */
	case -19:  /* ENODEV */
	case -6:   /* ENXIO */
	case -22:  /* EINVAL */
		return SLUICE_KDROP_NO_DEVICE;
	case -95: /* EOPNOTSUPP */
		return SLUICE_KDROP_UNSUPPORTED;
	default:
		return SLUICE_KDROP_NO_SPACE;
	}
}

/* The verdict was "redirect" and the kernel could not even queue the frame; runs right after the ingress program, so
 * the frame is the newest pending one. */
SEC("tp_btf/xdp_redirect_err")
int BPF_PROG(sluice_redirect_err, const struct net_device *dev, const struct bpf_prog *prog, const void *target, int err,
	     int map_type, __u32 map_id, __u32 index)
{
	__u32 zero = 0;
	const struct sluice_control *control = bpf_map_lookup_elem(&sl_control, &zero);
	struct sluice_tx *tx;

	if (!control || map_id != control->devmap_id)
		return 0;
	tx = tx_of(index, bpf_get_smp_processor_id());
	if (!tx)
		return 0;
	tx->drops[drop_reason(err)]++;
	if (tx->head != tx->tail) {
		tx->head--;
	} else { /* generic mode has counted it as sent: sluice_note_gone() */
		tx->sent_packets--;
		tx->sent_bytes -= tx->pending[(tx->head - 1) & (SLUICE_PENDING - 1)];
	}
	return 0;
}

/* The devmap program: same door, each frame, before the driver takes it. Costs more than the tracepoint; sees every
 * frame, in generic XDP mode too. */
SEC("xdp/devmap")
int sluice_devmap_frame(struct xdp_md *ctx)
{
	struct xdp_buff *xdp = bpf_cast_to_kern_ctx(ctx);
	__u32 cpu = bpf_get_smp_processor_id(), ifindex = ctx->egress_ifindex, length = ctx->data_end - ctx->data;
	__u32 *port_id = port_of(ifindex);
	struct sluice_port *port;
	struct sluice_tx *tx;

	if (!port_id)
		return XDP_PASS;
	port = bpf_map_lookup_elem(&sl_ports, port_id);
	tx = tx_of(*port_id, cpu);
	if (!port || !tx || port->reader == SLUICE_READER_NONE)
		return XDP_PASS;
	read_before_frame(tx, port, *port_id, xdp->txq->dev, cpu, sluice_wire_bytes(port, length), bpf_ktime_get_ns());
	return XDP_PASS;
}

/* The memory of a device that the hook saw once may be anybody's by now. */
static __always_inline int still_is(__u64 device, __u32 ifindex)
{
	__u64 net = PEEK_FIELD(device, struct net_device, nd_net.net);

	return (__u32)PEEK_FIELD(device, struct net_device, ifindex) == ifindex &&
	       (__u32)PEEK_FIELD(net, struct net, ns.inum) == netns;
}

struct sample_walk {
	const struct sluice_port *port;
	__u32 port_id;
	__u32 zero;
};

static long sample_ring(__u32 index, struct sample_walk *walk)
{
	struct ring_access a = {};
	struct sluice_ring_site site = {.cpu = index, .cpus = cpus};
	__u32 row = walk->port_id * cpus + index;

	a.ring = bpf_map_lookup_elem(&sl_rings, &row);
	a.stamps = bpf_map_lookup_elem(&sl_stamps, &row);
	if (!a.ring || !a.stamps || !a.ring->device)
		return 0;
	a.ring->tick.valid = 0;
	site.device = a.ring->device;
	if (!still_is(site.device, walk->port->ifindex) ||
	    sluice_read_ring(walk->port->reader, ring_readers, &site, &a.view) || a.view.index != index)
		return 0;
	observe(a.ring, a.stamps, &a.view, walk->port, bpf_ktime_get_ns(), &a.ring->tick);
	return 0;
}

/* The controller's own look at the rings of one port, each tick: fresh even when no frame passes the hook. The device
 * pointer is the one the hook saw last; its memory is only believed while it still carries the port's ifindex. */
SEC("syscall")
int sluice_sample(struct sluice_sample_args *args)
{
	__u32 port_id = args->port;
	struct sample_walk walk = {.port_id = port_id};

	walk.port = bpf_map_lookup_elem(&sl_ports, &port_id);
	if (!walk.port || walk.port->reader == SLUICE_READER_NONE || !walk.port->ifindex)
		return 0;
	bpf_loop(cpus, sample_ring, &walk, 0);
	return 0;
}

SEC("tc")
int sluice_slow_path(struct __sk_buff *skb)
{
	return count_slow_path(skb, cpus);
}

char LICENSE[] SEC("license") = "GPL";
