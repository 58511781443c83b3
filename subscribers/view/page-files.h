#ifndef SLIPRING_SUBSCRIBERS_VIEW_PAGE_FILES_H
#define SLIPRING_SUBSCRIBERS_VIEW_PAGE_FILES_H

#include <stddef.h>

/*
 * The files that the page is made of, as embed-page put them in.
 */
struct page_file {
        const char *path;
        const char *type;
        const char *bytes;
        size_t size;
};

extern const struct page_file page_files[];
extern const size_t page_file_count;

#endif
