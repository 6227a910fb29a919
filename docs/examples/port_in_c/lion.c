/* Lion in C, as a port that `lionk conform --command ./lion` can judge: cases on standard input, answers on standard
 * output, one a line. The step is `lion_double` and `lion_float`; the rest reads and writes lines.
 *
 *     cc -O2 -std=c99 lion.c -o lion -lm && lionk conform --command ./lion
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LION(NAME, T)                                                                                   \
    static T sign_##T(T c) { return isnan(c) ? c : (T)((c > 0) - (c < 0)); }                              \
    static void NAME(long n, T *x, T *m, const T *g, T lr, T b1, T b2, T wd) {                            \
        for (long i = 0; i < n; i++) {                                                                    \
            T c = b1 * m[i] + (1 - b1) * g[i]; /* the readout, with the old momentum */                    \
            x[i] = x[i] - lr * (sign_##T(c) + wd * x[i]);                                                  \
            m[i] = b2 * m[i] + (1 - b2) * g[i];                                                            \
        }                                                                                                 \
    }

LION(lion_double, double)
LION(lion_float, float)

/* The next number after *at, which is moved behind it: a decimal, or a float in hexadecimal within quotes. */
static double number(const char **at) {
    while (!strchr("+-0123456789ni", **at)) (*at)++;
    char *end;
    double value = strtod(*at, &end);
    *at = end;
    return value;
}

/* Where the value of a key begins. */
static const char *key(const char *line, const char *name) {
    char quoted[32];
    snprintf(quoted, sizeof quoted, "\"%s\":", name);
    const char *at = strstr(line, quoted);
    if (!at) {
        fprintf(stderr, "no %s in: %.60s\n", name, line);
        exit(1);
    }
    return at + strlen(quoted);
}

static void answer(const char *line) {
    const char *at = key(line, "n");
    long n = (long)number(&at);
    at = key(line, "steps");
    long steps = (long)number(&at);
    at = key(line, "betas");
    double b1 = number(&at), b2 = number(&at);
    at = key(line, "weight_decay");
    double wd = number(&at);
    int is_double = strstr(line, "\"dtype\": \"float64\"") != NULL;

    double *x = calloc(n + 1, sizeof *x), *m = calloc(n + 1, sizeof *m), *g = calloc(n + 1, sizeof *g);
    float *xf = calloc(n + 1, sizeof *xf), *mf = calloc(n + 1, sizeof *mf), *gf = calloc(n + 1, sizeof *gf);
    at = key(line, "x0");
    for (long i = 0; i < n; i++) xf[i] = (float)(x[i] = number(&at));

    const char *id = strchr(key(line, "id"), '"') + 1;
    printf("{\"id\": \"%.*s\", \"x\": [", (int)(strchr(id, '"') - id), id);
    long rows = 0; /* of gradients, which are used again from the first when they end */
    for (at = key(line, "grads"); *at && !(at[0] == ']' && at[1] == ']'); at++) rows += *at == '[' && at[1] != '[';
    const char *rates = key(line, "lr"), *grads = key(line, "grads");
    for (long t = 0; t < steps; t++) {
        if (t && rows && t % rows == 0) rates = key(line, "lr"), grads = key(line, "grads");
        double lr = number(&rates);
        for (long i = 0; i < n; i++) gf[i] = (float)(g[i] = number(&grads));
        if (is_double)
            lion_double(n, x, m, g, lr, b1, b2, wd);
        else
            lion_float(n, xf, mf, gf, (float)lr, (float)b1, (float)b2, (float)wd);
        printf("%s[", t ? ", " : "");
        for (long i = 0; i < n; i++) printf("%s\"%a\"", i ? ", " : "", is_double ? x[i] : xf[i]);
        printf("]");
    }
    printf("]}\n");
    free(x), free(m), free(g), free(xf), free(mf), free(gf);
}

/* What `--handshake` prints: who this is, and what it takes. */
static const char *HANDSHAKE =
    "{\"name\": \"lion.c\", \"language\": \"C\", \"version\": \"1.1\", \"dialects\": [\"lion\"], "
    "\"dtypes\": [\"float64\", \"float32\"], "
    "\"capabilities\": {\"K\": \"l1\", \"betas\": \"free\", \"schedule\": true, \"decays\": [\"lr_wd\"]}}";

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "--handshake")) {
        puts(HANDSHAKE);
        return 0;
    }
    size_t room = 1 << 22; /* longer than any line */
    char *line = malloc(room);
    while (line && fgets(line, (int)room, stdin)) answer(line);
    free(line);
    return 0;
}
