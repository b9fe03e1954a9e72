/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Library mode, user-space side: binds a program built with library.bpf.h to the maps that sluiced pinned. Plain C over
 * libbpf; call it between open and load.
 */
#ifndef SLUICE_LIBRARY_H
#define SLUICE_LIBRARY_H

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "abi.h"

#define SLUICE_TEXT2(x) #x
#define SLUICE_TEXT(x) SLUICE_TEXT2(x)
#define SLUICE_PIN_DIR "/sys/fs/bpf/sluice/v" SLUICE_TEXT(SLUICE_ABI_VERSION)

/* Every map of `object` whose name begins with sl_ becomes the one that sluiced pinned under `dir` (NULL: SLUICE_PIN_DIR).
 * Returns 0 or a negative errno: -ENOENT when sluiced has pinned no such map (is it running, with the same contract
 * version?), -EPROTO when the contract of the pinned maps is another one. */
static inline int sluice_reuse_pinned(struct bpf_object *object, const char *dir)
{
	struct sluice_control control;
	struct bpf_map *map;
	char path[256];
	__u32 zero = 0;
	int fd, err;

	bpf_object__for_each_map(map, object) {
		if (strncmp(bpf_map__name(map), "sl_", 3) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir ? dir : SLUICE_PIN_DIR, bpf_map__name(map));
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
	return 0;
}

#endif
