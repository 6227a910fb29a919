/* Judges what a port has written by the golden vectors, with no Python:
 *
 *     lionk conform --vectors v            once, anywhere; or unpack an archive of lionk/conformance/ports/golden_vectors
 *     ./lion < v/cases.jsonl > v/results.jsonl
 *     cc -O2 -std=c99 check.c -o check -lm && ./check v/cases.jsonl v/expected.jsonl v/results.jsonl
 *
 * The answers must come in the order of the cases. For K = l1 and the decay lr_wd: the direction of each step is read back
 * from it, and must be the expected one wherever the readout is known to be on one side of 0; where it is not, it must lie
 * in [-1, 1]. Exit code 0 if all steps are right.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double number(const char **at) {
    while (!strchr("+-0123456789ni", **at)) (*at)++;
    char *end;
    double value = strtod(*at, &end);
    *at = end;
    return value;
}

static const char *key(const char *line, const char *name) {
    char quoted[32];
    snprintf(quoted, sizeof quoted, "\"%s\":", name);
    const char *at = strstr(line, quoted);
    return at ? at + strlen(quoted) : NULL;
}

static long count(const char *list) { /* of numbers in a flat list */
    long n = 0;
    for (list = strchr(list, '[') + 1; *list != ']'; list++) n += *list == ',';
    return n + 1;
}

/* The number of wrong entries of one case. */
static long judge(const char *asked, const char *right, const char *answer) {
    const char *at = key(asked, "n");
    long n = (long)number(&at);
    if (n == 0) return 0;
    double eps = strstr(asked, "\"dtype\": \"float64\"") ? 0x1p-52 : 0x1p-23;
    at = key(asked, "weight_decay");
    double wd = number(&at);
    const char *rates = key(asked, "lr"), *start = key(asked, "x0"), *seen = key(answer, "x");
    long rows = count(rates), wrong = 0, t = -1;
    const char *steps = key(right, "steps"), *readouts = key(right, "readout"), *margins = key(right, "margin");
    const char *directions = key(right, "direction"), *rate = rates;
    double *x = calloc(n, sizeof *x), *next = calloc(n, sizeof *next), lr = 0;
    for (long i = 0; i < n; i++) next[i] = number(&start);
    for (long shown = count(steps); shown--;) {
        long step = (long)number(&steps);
        while (t < step) { /* the answer has every step, the expected run some */
            t++;
            if (t % rows == 0) rate = rates;
            lr = number(&rate);
            for (long i = 0; i < n; i++) x[i] = next[i], next[i] = number(&seen);
        }
        for (long i = 0; i < n; i++) {
            double r = number(&readouts), margin = number(&margins), direction = number(&directions);
            if (lr == 0) {
                wrong += next[i] != x[i];
                continue;
            }
            double u = (next[i] - x[i]) / lr + wd * x[i];
            double tau = 4 * eps * ((fabs(x[i]) + fabs(next[i])) / lr + 1);
            if (isnan(r) || isinf(r)) continue; /* ports differ there; see S6 of the specification */
            wrong += fabs(r) > margin || margin == 0 ? !(fabs(u - direction) <= tau) : !(fabs(u) <= 1 + tau);
        }
    }
    free(x), free(next);
    return wrong;
}

int main(int argc, char **argv) {
    size_t room = 1 << 24;
    char *line[3];
    FILE *file[3];
    for (int i = 0; i < 3; i++) {
        line[i] = malloc(room);
        file[i] = i + 1 < argc ? fopen(argv[i + 1], "r") : NULL;
        if (!file[i] || !line[i]) return fprintf(stderr, "usage: check cases.jsonl expected.jsonl results.jsonl\n"), 2;
    }
    long cases = 0, broken = 0;
    while (fgets(line[0], (int)room, file[0])) {
        const char *id = strchr(key(line[0], "id"), '"');
        int length = (int)(strchr(id + 1, '"') - id + 1);
        cases++;
        for (int i = 1; i < 3; i++) {
            const char *given = fgets(line[i], (int)room, file[i]) ? key(line[i], "id") : NULL;
            if (!given || strncmp(strchr(given, '"'), id, length))
                return fprintf(stderr, "%s has no line for %.*s\n", argv[i + 1], length, id), 2;
        }
        if (!key(line[2], "x")) continue; /* skipped, with a reason */
        long wrong = judge(line[0], line[1], line[2]);
        broken += wrong > 0;
        if (wrong) printf("%.*s: %ld entries are wrong\n", length, id, wrong);
    }
    printf("%s: %ld of %ld cases are right\n", broken ? "FAIL" : "PASS", cases - broken, cases);
    for (int i = 0; i < 3; i++) fclose(file[i]), free(line[i]);
    return broken > 0;
}
