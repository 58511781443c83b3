/*
 * A driver of the rover's front IMU: 200 samples a second.
 *
 *     slipring generate c rover.yaml -o .
 *     cc rover-publisher.c $(pkg-config --cflags --libs slipring) -lm -o rover-publisher
 */
#include <math.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "rover.h"

int main(void) {
        struct slipring_publisher_options options = {.deadline_ns = slipring_in_ms(10000)};
        struct rover_msgs_Imu message = {.orientation = {.w = 1}, .temperature = 25};
        struct rover_imu_front_publisher imu = {0};
        struct slipring_error error = {0};
        struct timespec now;

        if (rover_imu_front_publisher_open(&imu, &options, &error) < 0) {
                fprintf(stderr, "rover-publisher: %s\n", error.text);
                return 1;
        }
        for (;; usleep(5000)) {
                timespec_get(&now, TIME_UTC);
                message.stamp.sec = (int32_t) now.tv_sec;
                message.stamp.nanosec = (uint32_t) now.tv_nsec;
                message.acceleration.z = 9.81 + 0.5 * sin((double) now.tv_nsec * 1e-9);
                /* It fails only when a reload replaced the topic, which has a successor then. */
                if (rover_imu_front_publish(imu, &message) < 0 &&
                    rover_imu_front_publisher_move(imu, slipring_in_ms(10000), &error) < 0) {
                        fprintf(stderr, "rover-publisher: %s\n", error.text);
                        return 1;
                }
        }
}
