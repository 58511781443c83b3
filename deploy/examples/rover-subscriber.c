/*
 * Watches the rover's front IMU, sample by sample, and knows of each one that it missed.
 *
 *     slipring generate c rover.yaml -o .
 *     cc rover-subscriber.c $(pkg-config --cflags --libs slipring) -o rover-subscriber
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "rover.h"

int main(void) {
        struct slipring_subscriber_options options = {.deadline_ns = slipring_in_ms(10000)};
        struct rover_imu_front_subscriber imu = {0};
        struct rover_msgs_Imu message;
        struct slipring_sample sample;
        struct slipring_error error = {0};

        if (rover_imu_front_subscriber_open(&imu, &options, &error) < 0) {
                fprintf(stderr, "rover-subscriber: %s\n", error.text);
                return 1;
        }
        for (;;) {
                int r = rover_imu_front_take(imu, &message, &sample);

                if (r > 0) {
                        printf("%" PRIu64 ": %.3f m/s^2, %" PRIu64 " missed before\n",
                               sample.sequence, message.acceleration.z, sample.missed);
                } else if (r == 0) {
                        rover_imu_front_wait(imu, SLIPRING_FOREVER);
                } else if (r != -EAGAIN && /* -EIDRM: a reload replaced the topic */
                           rover_imu_front_subscriber_move(imu, slipring_in_ms(10000), &error) <
                                   0) {
                        fprintf(stderr, "rover-subscriber: %s\n", error.text);
                        return 1;
                }
        }
}
