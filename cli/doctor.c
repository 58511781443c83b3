#include "cli/doctor.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"

static const char *const level_names[] = {"ok", "note", "problem"};

void doctor_find(struct doctor *doctor,
                 enum doctor_level level,
                 const char *subject,
                 const char *remedy,
                 const char *format,
                 ...) {
        struct doctor_finding *findings, finding = {.level = level, .remedy = remedy};
        va_list arguments;

        findings = reallocarray(doctor->findings, doctor->count + 1, sizeof(*findings));
        if (!findings) {
                doctor->failed = true;
                return;
        }
        doctor->findings = findings;
        finding.subject = strdup(subject);
        va_start(arguments, format);
        if (vasprintf(&finding.text, format, arguments) < 0) {
                finding.text = NULL;
        }
        va_end(arguments);
        if (!finding.subject || !finding.text) {
                free(finding.subject);
                free(finding.text);
                doctor->failed = true;
                return;
        }
        findings[doctor->count++] = finding;
        doctor->problems += level == DOCTOR_PROBLEM;
}

static void print_json(const struct doctor *doctor) {
        struct json json = {.out = stdout};

        json_open(&json, NULL, '{');
        json_unsigned(&json, "problems", doctor->problems);
        json_open(&json, "findings", '[');
        for (size_t i = 0; i < doctor->count; i++) {
                json_open(&json, NULL, '{');
                json_text(&json, "level", level_names[doctor->findings[i].level]);
                json_text(&json, "subject", doctor->findings[i].subject);
                json_text(&json, "text", doctor->findings[i].text);
                json_text(&json, "remedy", doctor->findings[i].remedy);
                json_close(&json);
        }
        json_close(&json);
        json_close(&json);
}

static void print_text(const struct doctor *doctor) {
        static const char *const colours[] = {"\033[32m", "\033[33m", "\033[31m"};
        size_t notes = 0;

        for (size_t i = 0; i < doctor->count; i++) {
                const struct doctor_finding *finding = &doctor->findings[i];

                notes += finding->level == DOCTOR_NOTE;
                printf("%s%-8s%s %s: %s\n", doctor->cli->colour ? colours[finding->level] : "",
                       level_names[finding->level], doctor->cli->colour ? "\033[0m" : "",
                       finding->subject, finding->text);
                if (finding->remedy) {
                        printf("%9s-> %s\n", "", finding->remedy);
                }
        }
        printf("%zu problem%s, %zu note%s\n", doctor->problems, doctor->problems == 1 ? "" : "s",
               notes, notes == 1 ? "" : "s");
}

static int doctor_run(struct cli *cli, int argc, char **argv) {
        const struct cli_option options[] = {{0}};
        struct doctor doctor = {.cli = cli};

        if (!cli_parse(cli, options, &argc, &argv)) {
                return cli->exit_code;
        }
        doctor_machine(&doctor);
        doctor_buses(&doctor);
        if (doctor.failed) {
                cli_error(cli, "out of memory");
        } else if (cli->json) {
                print_json(&doctor);
        } else {
                print_text(&doctor);
        }
        for (size_t i = 0; i < doctor.count; i++) {
                free(doctor.findings[i].subject);
                free(doctor.findings[i].text);
        }
        free(doctor.findings);
        return doctor.problems || doctor.failed ? CLI_FAILURE : CLI_OK;
}

const struct cli_verb cli_doctor = {
        .name = "doctor",
        .arguments = "",
        .least = 0,
        .most = 0,
        .common = CLI_BUS | CLI_JSON,
        .summary = "find what is wrong with this machine or bus",
        .help = "Looks at the kernel, its limits, the clock, users and buses, and prints what it\n"
                "finds, each with its remedy. Changes nothing. Exits with 1 if there is a "
                "problem;\n"
                "a note is worth knowing but works. With --bus only that bus is looked at, else\n"
                "all that this user can read.\n"
                "\n"
                "  slipring doctor\n"
                "  slipring doctor --json | jq -r '.findings[] | select(.level == \"problem\")'\n",
        .run = doctor_run,
};
