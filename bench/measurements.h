#ifndef SLIPRING_BENCH_MEASUREMENTS_H
#define SLIPRING_BENCH_MEASUREMENTS_H

#include "bench/stage.h"

/* publish.c */
void publish_round(struct stage *stage, enum side side, struct figures *ret_rows);
void publish_step(struct stage *stage, enum side side);
void observe_step(struct stage *stage, enum side side);

/* pingpong.c */
void pingpong_round(struct stage *stage, enum side side, struct figures *ret_rows);
void pingpong_step(struct stage *stage, enum side side);

/* wake.c */
void wake_round(struct stage *stage, enum side side, struct figures *ret_rows);
void wake_step(struct stage *stage, enum side side);
void wake_kick(struct stage *stage, enum side side);

/* many.c: what wake.c's rounds do where there are many topics */
bool many_bare_works(void);
int many_open(struct stage *stage, bool driver);
void many_publish(struct stage *stage, enum side side);
bool many_receive(struct stage *stage, enum side side);

extern const struct measurement measurements[];
extern const unsigned measurement_count;

#endif
