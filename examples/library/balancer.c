/* SPDX-License-Identifier: GPL-2.0-only
 *
 * balancer IN OUT VIRTUAL_IP BACKEND_MAC...: loads balancer.bpf.c against the maps of a running sluiced, attaches it to IN,
 * prints its counters as JSON on SIGUSR1 and at the end. SLUICE_PIN_PATH in the environment is what sluiced was told by --pin-path.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <sluice/library.h>

#include "balancer.skel.h"

static int parse_mac(const char *text, unsigned char *mac)
{
	return sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) == 6;
}

static int own_mac(const char *device, unsigned char *mac)
{
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), err;

	strncpy(request.ifr_name, device, IFNAMSIZ - 1);
	err = ioctl(fd, SIOCGIFHWADDR, &request);
	close(fd);
	memcpy(mac, request.ifr_hwaddr.sa_data, 6);
	return err;
}

static void print_counts(struct balancer *lb)
{
	static const char *names[] = {"forwarded", "marked", "refused", "passed"};
	__u64 values[1024];

	for (__u32 i = 0; i < 4; i++) {
		__u64 sum = 0;

		if (bpf_map__lookup_elem(lb->maps.lb_counts, &i, sizeof(i), values,
					 8 * (size_t)libbpf_num_possible_cpus(), 0) == 0)
			for (int cpu = 0; cpu < libbpf_num_possible_cpus(); cpu++)
				sum += values[cpu];
		printf("%s\"%s\": %llu", i ? ", " : "{", names[i], (unsigned long long)sum);
	}
	printf("}\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct balancer *lb;
	unsigned char mac[6];
	struct in_addr address;
	sigset_t signals;
	int err, number;

	if (argc < 5 || !inet_aton(argv[3], &address)) {
		fprintf(stderr, "usage: balancer IN OUT VIRTUAL_IP BACKEND_MAC...\n");
		return 2;
	}
	lb = balancer__open();
	if (!lb || own_mac(argv[2], mac)) {
		perror("balancer: open");
		return 1;
	}
	lb->rodata->virtual_address = address.s_addr;
	lb->rodata->backends = (__u32)argc - 4;
	memcpy((void *)lb->rodata->own_mac, mac, 6);
	lb->rodata->sluice_cpus = (__u32)libbpf_num_possible_cpus();
	err = sluice_reuse_pinned(lb->obj, getenv("SLUICE_PIN_PATH"));
	if (err < 0) {
		fprintf(stderr, "balancer: maps of sluiced: %s (is it running, of the same contract?)\n", strerror(-err));
		return 1;
	}
	if (balancer__load(lb)) {
		perror("balancer: load");
		return 1;
	}
	for (__u32 i = 0; i + 4 < (__u32)argc; i++) {
		struct { unsigned char mac[6]; __u16 reserved; } row = {0};

		if (!parse_mac(argv[4 + i], row.mac)) {
			fprintf(stderr, "balancer: %s is no MAC address\n", argv[4 + i]);
			return 2;
		}
		bpf_map__update_elem(lb->maps.lb_backends, &i, sizeof(i), &row, sizeof(row), BPF_ANY);
	}
	lb->links.balancer = bpf_program__attach_xdp(lb->progs.balancer, (int)if_nametoindex(argv[1]));
	if (!lb->links.balancer) {
		perror("balancer: attach XDP");
		return 1;
	}
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	fprintf(stderr, "balancer: ready\n");
	while (sigwait(&signals, &number) == 0 && number == SIGUSR1)
		print_counts(lb);
	print_counts(lb);
	balancer__destroy(lb);
	return 0;
}
