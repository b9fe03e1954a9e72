/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Library mode, user-space side: binds a program built with library.bpf.h to the maps that sluiced pinned. Plain C over
 * libbpf; call it between open and load.
 */
#ifndef SLUICE_LIBRARY_H
#define SLUICE_LIBRARY_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "abi.h"

#define SLUICE_PIN_ROOT "/sys/fs/bpf/sluice" /* --pin-path of sluiced */

/* Path of something that the running instance has pinned; `root` NULL: SLUICE_PIN_ROOT. */
static inline void sluice_pin_path(char *path, size_t size, const char *root, const char *inside)
{
	snprintf(path, size, "%s/v%d/current%s", root ? root : SLUICE_PIN_ROOT, SLUICE_ABI_VERSION, inside);
}

/* Number of the instance whose maps are in force, or a negative errno. sluiced makes a new one when a policy needs other
 * maps (other ports, many more classes) or it is upgraded to another build of the same contract: a program that was
 * bound to an older one then asks maps that nobody serves, and must be loaded again. Look once a second. */
static inline int sluice_instance(const char *root)
{
	char path[256], target[32];
	ssize_t length;

	sluice_pin_path(path, sizeof(path), root, "");
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return -errno;
	target[length] = 0;
	return atoi(target);
}

/* Every map of `object` whose name begins with sl_ becomes the one that sluiced has pinned. Returns the instance, or a
 * negative errno: -ENOENT when nothing is pinned (does sluiced run, with the same contract version and --pin-path?),
 * -EPROTO when the contract of the pinned maps is another one. */
static inline int sluice_reuse_pinned(struct bpf_object *object, const char *root)
{
	struct sluice_control control;
	char path[256], name[64];
	struct bpf_map *map;
	__u32 zero = 0;
	int fd, err, instance = sluice_instance(root);

	if (instance < 0)
		return instance;
	bpf_object__for_each_map(map, object) {
		if (strncmp(bpf_map__name(map), "sl_", 3) != 0)
			continue;
		snprintf(name, sizeof(name), "/maps/%s", bpf_map__name(map));
		sluice_pin_path(path, sizeof(path), root, name);
		fd = bpf_obj_get(path);
		if (fd < 0)
			return -errno;
		err = 0;
		if (strcmp(bpf_map__name(map), "sl_control") == 0) {
			err = bpf_map_lookup_elem(fd, &zero, &control) ? -errno : 0;
			if (!err && control.abi_version != SLUICE_ABI_VERSION)
				err = -EPROTO;
		}
		if (!err)
			err = bpf_map__reuse_fd(map, fd);
		close(fd); /* libbpf keeps a duplicate */
		if (err)
			return err;
	}
	return instance;
}

#endif
