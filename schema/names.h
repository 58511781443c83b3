#ifndef SLIPRING_SCHEMA_NAMES_H
#define SLIPRING_SCHEMA_NAMES_H

/*
 * What may be called what. The rules are those of ROS 2, so that types leave the bus unchanged.
 */

#include <stdbool.h>
#include <stddef.h>

#include "schema/arena.h"

/** name_is_snake() - lower_case words, digits and single underscores: a field, bus or package */
bool name_is_snake(const char *name);

/** name_is_constant() - the same in capitals: OVER_VOLTAGE */
bool name_is_constant(const char *name);

/** name_is_camel() - a capital, then letters and digits: a type */
bool name_is_camel(const char *name);

/** name_is_path() - snake names with slashes between them: a topic */
bool name_is_path(const char *name);

/** name_is_padding() - "pad" and digits only: reserved for padding */
bool name_is_padding(const char *name);

/**
 * name_camel() - the type name of a topic with inline fields
 * @arena:      arena that owns the result
 * @path:       topic name, "arm/joint_states"
 *
 * Return: "ArmJointStates", or NULL if there is no memory.
 */
char *name_camel(struct arena *arena, const char *path);

/**
 * name_constant() - a name in capitals, for macros and constants
 * @arena:      arena that owns the result
 * @name:       snake, camel or path: "status", "BatteryState", "imu/front"
 *
 * Return: "STATUS", "BATTERY_STATE", "IMU_FRONT", or NULL if there is no memory.
 */
char *name_constant(struct arena *arena, const char *name);

/**
 * name_flat() - a path as one C identifier
 * @arena:      arena that owns the result
 * @path:       "imu/front"
 *
 * Return: "imu_front", or NULL if there is no memory.
 */
char *name_flat(struct arena *arena, const char *path);

/**
 * struct name_claim - a name that something in source code is to have
 * @name:       the name
 * @own:        somebody chose it; no two of these are equal in one place
 */
struct name_claim {
        const char *name;
        bool own;
};

/**
 * names_part() - tell equal names apart
 * @arena:      owns names that are made
 * @claims:     all names of one place
 * @count:      how many
 *
 * Names that nobody chose get an underscore behind them where another one is the same: "x_length_",
 * and the third one of a name "x_length_2_". That depends on the order of the claims and on nothing
 * else.
 *
 * Return: 0, -ENOMEM if there is no memory.
 */
int names_part(struct arena *arena, struct name_claim *claims, size_t count);

#endif
