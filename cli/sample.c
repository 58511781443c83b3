#include "cli/sample.h"

#include <inttypes.h>

uint32_t sample_longest(const struct cli *cli, bool full, uint64_t longest) {
        if (full || cli->json) {
                return 0;
        }
        return longest > UINT32_MAX ? UINT32_MAX : (uint32_t) longest;
}

void sample_json(const struct render *render,
                 const char *topic,
                 const struct slipring_sample *sample) {
        printf("{\"topic\": \"%s\", \"sequence\": %" PRIu64 ", \"publish_time_ns\": %" PRIu64
               ", \"source_time_ns\": %" PRIu64 ", \"epoch\": %" PRIu32 ", \"missed\": %" PRIu64
               ", \"message\": ",
               topic, sample->sequence, sample->publish_time_ns, sample->source_time_ns,
               sample->epoch, sample->missed);
        render_message(render, sample->payload, stdout);
        putchar('}');
}

void sample_print(const struct render *render,
                  const char *topic,
                  const struct slipring_sample *sample) {
        switch (render->format) {
        case RENDER_JSON:
                sample_json(render, topic, sample);
                putchar('\n');
                break;
        case RENDER_CSV:
                render_message(render, sample->payload, stdout);
                break;
        default:
                render_message(render, sample->payload, stdout);
                fputs(render->format == RENDER_FLOW ? "\n---\n" : "---\n", stdout);
        }
}
