/*
 * What sources share: the time between two readings, the sensors of hwmon chips.
 */

#include "publishers/host/source.h"

#include <stdio.h>
#include <string.h>

bool interval_next(struct interval *interval, uint64_t now_ns) {
        uint64_t last_ns = interval->last_ns;

        interval->last_ns = now_ns;
        if (!last_ns || now_ns <= last_ns) {
                return false;
        }
        interval->seconds = (double) (now_ns - last_ns) / 1e9;
        return true;
}

double interval_rate(const struct interval *interval, uint64_t before, uint64_t after) {
        return (double) counter_delta(before, after) / interval->seconds;
}

bool sensor_word(struct tree *tree, const char *path, char *word, size_t size) {
        const char *text = NULL;
        size_t length;

        if (tree_read(tree, path, &text) < 0) {
                return false;
        }
        length = strcspn(text, "\n");
        length = length < size ? length : size - 1;
        memcpy(word, text, length);
        word[length] = '\0';
        return length > 0;
}

/* "coretemp Package id 0", or without a label "nvme temp1". */
static void sensor_name(struct sensor *sensor,
                        struct tree *tree,
                        const char *chip_path,
                        const char *input,
                        size_t stem) {
        char chip[SENSOR_NAME_BYTES + 1], label[SENSOR_NAME_BYTES + 1], path[SENSOR_PATH_BYTES];

        (void) snprintf(path, sizeof(path), "%s/name", chip_path);
        if (!sensor_word(tree, path, chip, sizeof(chip))) {
                (void) snprintf(chip, sizeof(chip), "hwmon");
        }
        (void) snprintf(path, sizeof(path), "%s/%.*s_label", chip_path, (int) stem, input);
        if (!sensor_word(tree, path, label, sizeof(label))) {
                (void) snprintf(label, sizeof(label), "%.*s", (int) stem, input);
        }
        /* Of a long chip's name half the room, of the label what fits behind it. */
        (void) snprintf(sensor->name, sizeof(sensor->name), "%.15s %.16s", chip, label);
}

/* A chip's inputs of one kind. */
static uint32_t chip_inputs(struct tree *tree,
                            const char *chip_path,
                            const char *kind,
                            struct sensor *ret_sensors,
                            uint32_t capacity) {
        struct tree_names files = {0};
        uint32_t count = 0;
        size_t i;

        if (tree_list(tree, chip_path, kind, &files) < 0) {
                return 0;
        }
        for (i = 0; i < files.count && count < capacity; i++) {
                const char *input = tree_name(&files, i), *end = strstr(input, "_input");
                struct sensor *sensor = &ret_sensors[count];

                if (!end || end[strlen("_input")]) {
                        continue;
                }
                (void) snprintf(sensor->path, sizeof(sensor->path), "%s/%s", chip_path, input);
                sensor_name(sensor, tree, chip_path, input, (size_t) (end - input));
                count++;
        }
        tree_names_free(&files);
        return count;
}

uint32_t
sensor_chips(struct tree *tree, const char *kind, struct sensor *ret_sensors, uint32_t capacity) {
        struct tree_names chips = {0};
        uint32_t count = 0;
        size_t i;

        if (tree_list(tree, "sys/class/hwmon", "hwmon", &chips) < 0) {
                return 0;
        }
        for (i = 0; i < chips.count; i++) {
                char path[SENSOR_PATH_BYTES / 2];

                (void) snprintf(path, sizeof(path), "sys/class/hwmon/%s", tree_name(&chips, i));
                count += chip_inputs(tree, path, kind, ret_sensors + count, capacity - count);
        }
        tree_names_free(&chips);
        return count;
}
