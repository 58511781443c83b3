/**
 * thing_open() - open it
 *
 * Context: Setup only: allocates.
 */
int thing_open(void);

/**
 * thing_use() - use it
 *
 * Context: RT-safe.
 */
int thing_use(void);

/**
 * thing_wait() - wait for it
 *
 * Context: May sleep, and for long.
 */
int thing_wait(void);
