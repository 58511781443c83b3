#ifndef SLIPRING_BUS_MANAGER_LIMITS_H
#define SLIPRING_BUS_MANAGER_LIMITS_H

#include "bus/manager/log.h"
#include "bus/registry.h"
#include "schema/schema.h"

/*
 * What about this machine keeps a bus from working, or will surprise whoever runs it.
 */

/*
 * limits_check() - can this machine hold the bus?
 * @bus:        its name
 * @specs:      its topics
 *
 * Looks at kernel.shm_rmid_forced always; at segments, semaphores and pages if nothing of the bus
 * is there yet. What is left of the way is found by trying, and undone.
 *
 * Return: 0, -ENOTSUP under shm_rmid_forced, -ENOSPC; @reterr names the remedy.
 */
int limits_check(const char *bus,
                 const struct topic_spec *specs,
                 size_t count,
                 struct slipring_error *reterr);

/*
 * limits_check_memory() - is there memory for what is about to be made?
 * @bytes:      of new segments, see registry_growth()
 *
 * They are touched at once, and the kernel would rather kill somebody than refuse a page.
 *
 * Return: 0, -ENOMEM; @reterr names the remedy.
 */
int limits_check_memory(uint64_t bytes, struct slipring_error *reterr);

/*
 * limits_check_growth() - the same of ordinary and of huge pages
 * @growth:     see registry_growth()
 * @pages:      what it was asked with
 *
 * Return: 0, -ENOMEM; @reterr names the remedy.
 */
int limits_check_growth(const struct registry_growth *growth,
                        const struct pages *pages,
                        struct slipring_error *reterr);

/*
 * limits_warn_pages() - log that topics tried to get huge pages, and why they got none
 * @first:      one of them
 * @count:      how many there are
 * @need:       huge pages that would hold them all
 * @pages:      what the machine has now
 */
void limits_warn_pages(const struct log *log,
                       const struct layout_entry *first,
                       size_t count,
                       uint64_t need,
                       const struct pages *pages);

/*
 * limits_warn() - log what works and yet is likely not meant
 *
 * A login user whose segments logind removes at logout; a system manager whose topics only itself
 * may publish; a group that gets more than the schema says.
 */
void limits_warn(const struct log *log, const struct schema *schema);

#endif
