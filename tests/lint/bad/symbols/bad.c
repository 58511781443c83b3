#include <math.h>
#include <stdlib.h>

/* Needs libm, defines one symbol that nobody declared and lacks one that the header has. */
double slipring_stray(const char *text);
int slipring_both(void);

int slipring_both(void) {
        return 0;
}

double slipring_stray(const char *text) {
        return sin(strtod(text, NULL));
}
