/*
 * A ray tracer: spheres of glass, metal and lacquer on a floor that mirrors a little, at dusk, lit by
 * a low sun and by some of the spheres. Shadows have soft edges when there are several rays a pixel.
 *
 * A unit is a tile of the picture, and its part are the tile's pixels as RGB, so parts are put
 * together by concatenation; `finish` sorts them into rows and packs them as PNG. A pixel depends on
 * nothing but the parameters and its place, so the picture is the same however it was split. Tiles are
 * emitted too, as mandelbrot's are:
 *
 *     {"x":64,"y":32,"width":32,"height":32,"rgb":"<base64 of the RGB bytes>"}
 */
#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prong/kernel.h"

enum {
    PARAM_WIDTH,
    PARAM_HEIGHT,
    PARAM_SAMPLES,
    PARAM_DEPTH,
    PARAM_SEED,
    PARAM_SPHERES,
    PARAM_ANGLE,
    PARAM_ELEVATION,
    PARAM_DISTANCE
};

#define SIDE_MAX    4096
#define PIXELS_MAX  (8u << 20) /* as RGB, 24 MiB */
#define SAMPLES_MAX 1024
#define HEROES      3u                        /* large spheres in the middle */
#define SMALL_MAX   120                       /* spheres around them */
#define SPHERES_MAX (HEROES + SMALL_MAX + 5u) /* a multiple of 8, so that vectors come out even */
#define LIGHTS      4u                        /* the sun, and spheres that glow */

#define TILE_MAX   32u
#define TILE_WORK  4096u /* rays from the eye in one tile, about */
#define FAR        1e30
#define NEAR       1e-6  /* how far a ray starts from where the last one ended */
#define WEIGHT_MIN 0.004 /* what counts less than a shade of eight bits is not followed */

#define VEC(x_, y_, z_) ((struct vec) {(x_), (y_), (z_)})

_Static_assert(SPHERES_MAX % 8 == 0, "the arrays of spheres must be whole vectors");
_Static_assert(TILE_MAX *TILE_MAX * 4 + 256 <= PRONG_EMIT_MAX, "a tile is too large to be emitted");

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__x86_64__)
#define VECTOR_CLONES
#else
#define VECTOR_CLONES __attribute__((target_clones("avx2", "default")))
#endif

static const struct prong_param params[] = {
    [PARAM_WIDTH] = PRONG_PARAM_INT("width", 1, SIDE_MAX, 800, "Pixels in a row"),
    [PARAM_HEIGHT] = PRONG_PARAM_INT("height", 1, SIDE_MAX, 500, "Rows"),
    [PARAM_SAMPLES] = PRONG_PARAM_INT("samples", 1, SAMPLES_MAX, 4,
                                      "Rays for each pixel; more make edges and shadows smoother"),
    [PARAM_DEPTH] = PRONG_PARAM_INT("depth", 0, 16, 6, "Reflections and refractions of one ray"),
    [PARAM_SEED] = PRONG_PARAM_INT("seed", 0, UINT32_MAX, 21, "Which scene"),
    [PARAM_SPHERES] =
        PRONG_PARAM_INT("spheres", 0, SMALL_MAX, 80, "Small spheres around the three large ones"),
    [PARAM_ANGLE] = PRONG_PARAM_REAL("angle", -360, 360, 20, "Degrees that the camera goes round"),
    [PARAM_ELEVATION] =
        PRONG_PARAM_REAL("elevation", 1, 89, 10, "Degrees of the camera above the floor"),
    [PARAM_DISTANCE] = PRONG_PARAM_REAL("distance", 3, 30, 8.5, "Of the camera from the middle"),
};

/* Colours are vectors too. */
struct vec {
    double x, y, z;
};

static struct vec plus(struct vec a, struct vec b)
{
    return VEC(a.x + b.x, a.y + b.y, a.z + b.z);
}

static struct vec minus(struct vec a, struct vec b)
{
    return VEC(a.x - b.x, a.y - b.y, a.z - b.z);
}

static struct vec times(struct vec a, double k)
{
    return VEC(a.x * k, a.y * k, a.z * k);
}

static struct vec tinted(struct vec a, struct vec b)
{
    return VEC(a.x * b.x, a.y * b.y, a.z * b.z);
}

static struct vec mixed(struct vec a, struct vec b, double share_of_b)
{
    return plus(times(a, 1 - share_of_b), times(b, share_of_b));
}

static double dot(struct vec a, struct vec b)
{
    return a.x * b.x + a.y * b.y + a.z * b.z;
}

static struct vec unit(struct vec a)
{
    return times(a, 1 / sqrt(dot(a, a)));
}

enum material { LACQUER, METAL, GLASS, GLOWING, FLOOR };

struct surface {
    enum material material;
    struct vec colour;
};

/* Coordinates lie beside each other, for the loop over all spheres takes nearly all the time. */
struct scene {
    double x[SPHERES_MAX], y[SPHERES_MAX], z[SPHERES_MAX], rr[SPHERES_MAX];
    struct surface surfaces[SPHERES_MAX];
    unsigned count, padded; /* to whole vectors, with spheres that nothing can hit */
    unsigned glowing[LIGHTS - 1], glowing_count;
    int depth;
};

struct ray {
    struct vec from, direction; /* of length 1 */
};

struct hit {
    double distance;
    struct vec at, normal;
    struct surface surface;
};

static const struct vec sun_direction = {-0.8341, 0.3090, -0.4570};
static const struct vec sun_colour = {3.6, 2.35, 1.35};
#define SUN_RADIUS 0.035 /* seen from 1 away */

static uint64_t scrambled(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* The next of a row of numbers in [0, 1). */
static double draw(uint64_t *dice)
{
    *dice += 0x632be59bd9b4e019u;
    return (double)(scrambled(*dice) >> 11) * 0x1p-53;
}

/* A hue from 0 to 1 and round again, as a soft colour. */
static struct vec hue_colour(double hue, double strength)
{
    struct vec c =
        VEC(cos(2 * M_PI * hue), cos(2 * M_PI * (hue - 1.0 / 3)), cos(2 * M_PI * (hue - 2.0 / 3)));

    return plus(VEC(0.5, 0.5, 0.5), times(c, 0.5 * strength));
}

static void add_sphere(struct scene *s, double x, double z, double radius, struct surface surface)
{
    if (surface.material == GLOWING)
        s->glowing[s->glowing_count++] = s->count;
    s->x[s->count] = x;
    s->y[s->count] = radius;
    s->z[s->count] = z;
    s->rr[s->count] = radius * radius;
    s->surfaces[s->count++] = surface;
}

/* They stand on the floor, so they are apart when their feet are. */
static int has_room(const struct scene *s, double x, double z, double radius)
{
    for (unsigned i = 0; i < s->count; i++) {
        double dx = s->x[i] - x, dz = s->z[i] - z;

        if (dx * dx + dz * dz < 4.2 * radius * sqrt(s->rr[i]))
            return 0;
    }
    return 1;
}

static struct surface small_surface(const struct scene *s, double hue, uint64_t *dice)
{
    double kind = draw(dice), own_hue = hue + 0.38 * draw(dice) * draw(dice);

    if (s->glowing_count < LIGHTS - 1)
        return (struct surface) {GLOWING, times(hue_colour(own_hue + 0.5, 0.8), 14)};
    if (kind < 0.5)
        return (struct surface) {LACQUER, tinted(hue_colour(own_hue, 0.9), VEC(0.8, 0.8, 0.8))};
    if (kind < 0.8)
        return (struct surface) {METAL, mixed(VEC(0.9, 0.9, 0.9), hue_colour(own_hue, 0.7), 0.5)};
    return (struct surface) {GLASS, mixed(VEC(1, 1, 1), hue_colour(own_hue, 0.8), 0.25)};
}

static void add_small_spheres(struct scene *s, unsigned count, double hue, uint64_t *dice)
{
    for (unsigned tries = 0; tries < 40 * count && s->count < HEROES + count; tries++) {
        double reach = 1.6 + 7.4 * draw(dice), turn = 2 * M_PI * draw(dice);
        double radius = 0.13 + 0.3 * draw(dice) * draw(dice);
        double x = reach * cos(turn), z = reach * sin(turn);

        if (has_room(s, x, z, radius))
            add_sphere(s, x, z, radius, small_surface(s, hue, dice));
    }
}

static void make_scene(struct scene *s, uint64_t seed, unsigned small, int depth)
{
    uint64_t dice = scrambled(seed);
    double hue = draw(&dice), turn = 2 * M_PI * draw(&dice);
    const struct surface heroes[HEROES] = {
        {GLASS, {0.97, 0.99, 1}},
        {METAL, {1, 0.78, 0.46}},
        {LACQUER, times(hue_colour(hue, 0.95), 0.8)},
    };

    s->count = s->glowing_count = 0;
    s->depth = depth;
    for (unsigned i = 0; i < HEROES; i++)
        add_sphere(s, 1.25 * cos(turn + 2 * M_PI / HEROES * i),
                   1.25 * sin(turn + 2 * M_PI / HEROES * i), 1, heroes[i]);
    add_small_spheres(s, small, hue, &dice);
    s->padded = (s->count + 7) / 8 * 8;
    for (unsigned i = s->count; i < s->padded; i++) {
        s->x[i] = s->y[i] = s->z[i] = 0;
        s->rr[i] = -FAR;
    }
}

/* How far each sphere is along the ray; FAR for those that it misses. */
VECTOR_CLONES static void measure(const struct scene *s, const struct ray *ray, double *distances)
{
    double fx = ray->from.x, fy = ray->from.y, fz = ray->from.z;
    double dx = ray->direction.x, dy = ray->direction.y, dz = ray->direction.z;

    for (unsigned i = 0; i < s->padded; i++) {
        double x = s->x[i] - fx, y = s->y[i] - fy, z = s->z[i] - fz;
        double along = x * dx + y * dy + z * dz;
        double room = along * along - (x * x + y * y + z * z) + s->rr[i];
        double half = sqrt(room > 0 ? room : 0);
        double distance = along - half > NEAR ? along - half : along + half;

        distance = room > 0 ? distance : FAR;
        distances[i] = distance > NEAR ? distance : FAR;
    }
}

/* Squares that fade into one grey with distance, before they are finer than pixels. */
static struct vec floor_colour(const struct hit *hit)
{
    int odd = ((int64_t)floor(hit->at.x) + (int64_t)floor(hit->at.z)) & 1;
    double far = 1 - exp(-hit->distance * 0.035);

    return mixed(odd ? VEC(0.42, 0.38, 0.36) : VEC(0.05, 0.055, 0.07), VEC(0.20, 0.18, 0.18), far);
}

static int find_hit(const struct scene *s, const struct ray *ray, struct hit *hit)
{
    double distances[SPHERES_MAX];
    unsigned which = s->padded;
    double nearest = ray->direction.y < 0 ? -ray->from.y / ray->direction.y : FAR;

    measure(s, ray, distances);
    if (nearest <= NEAR)
        nearest = FAR;
    for (unsigned i = 0; i < s->padded; i++) {
        if (distances[i] < nearest) {
            nearest = distances[i];
            which = i;
        }
    }
    if (nearest >= FAR)
        return 0;
    hit->distance = nearest;
    hit->at = plus(ray->from, times(ray->direction, nearest));
    if (which == s->padded) {
        hit->normal = VEC(0, 1, 0);
        hit->surface = (struct surface) {FLOOR, floor_colour(hit)};
    } else {
        hit->normal = unit(minus(hit->at, VEC(s->x[which], s->y[which], s->z[which])));
        hit->surface = s->surfaces[which];
    }
    return 1;
}

/* What of the light at `reach` along the ray arrives: glass lets some through in its colour. */
static struct vec light_left(const struct scene *s, const struct ray *ray, double reach)
{
    double distances[SPHERES_MAX];
    struct vec left = VEC(1, 1, 1);

    measure(s, ray, distances);
    for (unsigned i = 0; i < s->count; i++) {
        if (distances[i] >= reach || s->surfaces[i].material == GLOWING)
            continue;
        if (s->surfaces[i].material != GLASS)
            return VEC(0, 0, 0);
        left = times(tinted(left, s->surfaces[i].colour), 0.7);
    }
    return left;
}

static struct vec sky(struct vec direction)
{
    double height = direction.y > 0 ? direction.y : 0;
    double towards = dot(direction, sun_direction);
    struct vec warm = mixed(VEC(0.30, 0.24, 0.36), VEC(0.95, 0.46, 0.20), 0.5 + 0.5 * towards);
    struct vec colour = mixed(warm, VEC(0.025, 0.06, 0.19), 1 - exp(-4.5 * height));

    if (towards > 0)
        colour = plus(colour, times(VEC(1.0, 0.5, 0.2), 0.6 * pow(towards, 24)));
    if (towards > 1 - SUN_RADIUS * SUN_RADIUS / 2)
        colour = plus(colour, times(sun_colour, 9));
    return colour;
}

/* What a light of this colour `reach` away adds; `strength` is how large it looks from here. */
static struct vec light_from(const struct scene *s, const struct hit *hit, struct vec direction,
                             double reach, double strength, struct vec colour)
{
    struct ray ray = {hit->at, direction};
    double slant = dot(hit->normal, direction);

    if (slant * strength < 0.0005)
        return VEC(0, 0, 0);
    return times(tinted(colour, light_left(s, &ray, reach)), slant * strength);
}

static struct vec light_of_sphere(const struct scene *s, const struct hit *hit, unsigned which,
                                  struct vec offset)
{
    struct vec centre = VEC(s->x[which], s->y[which], s->z[which]);
    struct vec way = minus(plus(centre, times(offset, sqrt(s->rr[which]))), hit->at);
    double square = dot(way, way), reach = sqrt(square);

    return light_from(s, hit, times(way, 1 / reach), reach, s->rr[which] / (square + s->rr[which]),
                      s->surfaces[which].colour);
}

/* The share of the sky that spheres nearby do not hide. */
static double openness(const struct scene *s, const struct hit *hit)
{
    double open = 1;

    for (unsigned i = 0; i < s->count; i++) {
        struct vec way = minus(VEC(s->x[i], s->y[i], s->z[i]), hit->at);
        double square = dot(way, way), slant = dot(hit->normal, way);

        if (slant > 0 && square > 1.0001 * s->rr[i])
            open *= 1 - 0.9 * slant / sqrt(square) * s->rr[i] / square;
    }
    return open;
}

static struct vec light_at(const struct scene *s, const struct hit *hit, const struct vec *aim)
{
    struct vec above = VEC(0.17, 0.19, 0.30), below = VEC(0.09, 0.06, 0.05);
    struct vec sum = times(mixed(below, above, 0.5 + 0.5 * hit->normal.y), openness(s, hit));

    struct vec to_sun = unit(plus(sun_direction, times(aim[0], SUN_RADIUS)));

    sum = plus(sum, light_from(s, hit, to_sun, FAR, 1, sun_colour));
    for (unsigned i = 0; i < s->glowing_count; i++)
        sum = plus(sum, light_of_sphere(s, hit, s->glowing[i], aim[1 + i]));
    return sum;
}

/* How much is mirrored: `straight` of what comes straight, all of what grazes. */
static double fresnel(double straight, double slant)
{
    double rest = 1 - slant;

    return straight + (1 - straight) * rest * rest * rest * rest * rest;
}

static struct vec trace(const struct scene *, const struct ray *, int depth, double weight,
                        const struct vec *);

static struct vec trace_mirrored(const struct scene *s, const struct ray *ray,
                                 const struct hit *hit, int depth, double weight,
                                 const struct vec *aim)
{
    double slant = dot(ray->direction, hit->normal);
    struct ray next = {hit->at, minus(ray->direction, times(hit->normal, 2 * slant))};

    return trace(s, &next, depth - 1, weight, aim);
}

/* `normal` looks towards where the ray comes from. */
static struct vec trace_glass(const struct scene *s, const struct ray *ray, const struct hit *hit,
                              int is_inside, int depth, double weight, const struct vec *aim)
{
    double slant = -dot(ray->direction, hit->normal);
    double ratio = is_inside ? 1.5 : 1 / 1.5;
    double square = 1 - ratio * ratio * (1 - slant * slant); /* of the cosine behind the surface */
    double share = square <= 0 ? 1 : fresnel(0.04, is_inside ? sqrt(square) : slant);
    struct vec sum = times(trace_mirrored(s, ray, hit, depth, weight * share, aim), share);

    if (square <= 0)
        return sum;
    struct vec bent =
        plus(times(ray->direction, ratio), times(hit->normal, ratio * slant - sqrt(square)));
    struct ray next = {hit->at, unit(bent)};
    struct vec through = trace(s, &next, depth - 1, weight * (1 - share), aim);

    return plus(sum, times(tinted(through, hit->surface.colour), 1 - share));
}

static struct vec shade(const struct scene *s, const struct ray *ray, const struct hit *hit,
                        int depth, double weight, const struct vec *aim)
{
    double slant = -dot(ray->direction, hit->normal);
    double share = hit->surface.material == METAL ? 1 : fresnel(0.045, slant);
    struct vec colour = hit->surface.colour;

    if (hit->surface.material == METAL) {
        struct vec bare = times(colour, fresnel(0.9, slant));

        return tinted(trace_mirrored(s, ray, hit, depth, weight, aim), bare);
    }
    struct vec own = times(tinted(colour, light_at(s, hit, aim)), 1 - share);

    return plus(own, times(trace_mirrored(s, ray, hit, depth, weight * share, aim), share));
}

/* The light that comes along the ray, of which the picture takes `weight`. `aim` is where in each
 * light this sample looks, from its middle, in radii: shadows are soft because samples differ. */
static struct vec trace(const struct scene *s, const struct ray *ray, int depth, double weight,
                        const struct vec *aim)
{
    struct hit hit;

    if (depth < 0 || weight < WEIGHT_MIN || !find_hit(s, ray, &hit))
        return sky(ray->direction);
    int is_inside = dot(ray->direction, hit.normal) > 0;

    if (is_inside)
        hit.normal = times(hit.normal, -1);
    if (hit.surface.material == GLOWING)
        return hit.surface.colour;
    if (hit.surface.material == GLASS)
        return trace_glass(s, ray, &hit, is_inside, depth, weight, aim);
    struct vec colour = shade(s, ray, &hit, depth, weight, aim);

    if (hit.surface.material != FLOOR)
        return colour;
    struct vec horizon = sky(unit(VEC(ray->direction.x, 0, ray->direction.z)));

    return mixed(horizon, colour, exp(-hit.distance * 0.016));
}

struct view {
    uint32_t width, height, samples;
    struct vec eye, ahead, right, up; /* `right` and `up` are a pixel long where `ahead` ends */
    uint32_t side;                    /* of a tile; those at the edges may be smaller */
    uint32_t columns, rows;           /* of tiles */
};

struct tile {
    uint32_t x, y, width, height;
    uint8_t rgb[TILE_MAX * TILE_MAX * 3];
};

static struct view read_view(struct prong_ctx *ctx)
{
    struct view v = {
        .width = (uint32_t)prong_int(ctx, PARAM_WIDTH),
        .height = (uint32_t)prong_int(ctx, PARAM_HEIGHT),
        .samples = (uint32_t)prong_int(ctx, PARAM_SAMPLES),
        .side = TILE_MAX,
    };
    double angle = prong_real(ctx, PARAM_ANGLE) * M_PI / 180;
    double elevation = prong_real(ctx, PARAM_ELEVATION) * M_PI / 180;
    double pixel = 0.86 / (v.width > v.height ? v.width : v.height);

    v.ahead = VEC(-sin(angle) * cos(elevation), -sin(elevation), -cos(angle) * cos(elevation));
    v.right = times(VEC(cos(angle), 0, -sin(angle)), pixel);
    v.up = times(VEC(-sin(angle) * sin(elevation), cos(elevation), -cos(angle) * sin(elevation)),
                 pixel);
    v.eye = minus(VEC(0, 0.7, 0), times(v.ahead, prong_real(ctx, PARAM_DISTANCE)));
    while (v.side > 4 && v.side * v.side * v.samples > TILE_WORK)
        v.side /= 2;
    v.columns = (v.width + v.side - 1) / v.side;
    v.rows = (v.height + v.side - 1) / v.side;
    return v;
}

/* A point on the sphere of radius 1, the more evenly spread the more samples there are; the first
 * and only one of one sample is the middle, for sharp shadows instead of noise. */
static struct vec spread(uint32_t sample, uint32_t samples, uint64_t salt)
{
    uint64_t bits = scrambled(salt);
    double z = 1 - 2 * fmod(sample * 0.7548776662466927 + (double)(bits >> 40) * 0x1p-24, 1);
    double turn =
        2 * M_PI * fmod(sample * 0.5698402909980532 + (double)(bits & 0xffffff) * 0x1p-24, 1);
    double round = sqrt(1 - z * z);

    if (samples == 1)
        return VEC(0, 0, 0);
    return VEC(round * cos(turn), z, round * sin(turn));
}

static struct vec pixel_light(const struct scene *s, const struct view *v, uint32_t x, uint32_t y)
{
    struct vec sum = VEC(0, 0, 0);

    for (uint32_t sample = 0; sample < v->samples; sample++) {
        double right = x + fmod(0.5 + sample * 0.7548776662466927, 1) - 0.5 * v->width;
        double down = y + fmod(0.5 + sample * 0.5698402909980532, 1) - 0.5 * v->height;
        struct vec way = plus(v->ahead, minus(times(v->right, right), times(v->up, down)));
        struct ray ray = {v->eye, unit(way)};
        struct vec aim[LIGHTS];

        for (unsigned i = 0; i < LIGHTS; i++)
            aim[i] = spread(sample, v->samples, ((uint64_t)y << 34) + ((uint64_t)x << 4) + i);
        struct vec light = trace(s, &ray, s->depth, 1, aim);

        /* The sun is far brighter than white; its edge would be jagged without this limit. */
        sum = plus(sum, VEC(fmin(light.x, 6), fmin(light.y, 6), fmin(light.z, 6)));
    }
    return times(sum, 1.0 / v->samples);
}

/* As film does: what is bright is held back, so that it keeps its colour. */
static uint8_t exposed(double light)
{
    double shown = pow(1 - exp(-1.25 * light), 1 / 2.2);

    return (uint8_t)(255 * shown + 0.5);
}

static void place_tile(struct tile *tile, const struct view *v, uint64_t unit_index)
{
    tile->x = (uint32_t)(unit_index % v->columns) * v->side;
    tile->y = (uint32_t)(unit_index / v->columns) * v->side;
    tile->width = v->width - tile->x < v->side ? v->width - tile->x : v->side;
    tile->height = v->height - tile->y < v->side ? v->height - tile->y : v->side;
}

static void draw_row(const struct scene *s, const struct view *v, struct tile *tile, uint32_t row)
{
    uint8_t *to = tile->rgb + (size_t)row * tile->width * 3;

    for (uint32_t i = 0; i < tile->width; i++) {
        struct vec light = pixel_light(s, v, tile->x + i, tile->y + row);

        *to++ = exposed(light.x);
        *to++ = exposed(light.y);
        *to++ = exposed(light.z);
    }
}

static void emit_tile(struct prong_ctx *ctx, const struct tile *tile)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static char text[TILE_MAX * TILE_MAX * 4 + 256];
    char *end =
        text + snprintf(text, 200, "{\"x\":%u,\"y\":%u,\"width\":%u,\"height\":%u,\"rgb\":\"",
                        tile->x, tile->y, tile->width, tile->height);

    for (const uint8_t *c = tile->rgb; c < tile->rgb + tile->width * tile->height * 3; c += 3) {
        unsigned bits = (unsigned)c[0] << 16 | (unsigned)c[1] << 8 | c[2];

        for (int shift = 18; shift >= 0; shift -= 6)
            *end++ = digits[bits >> shift & 63];
    }
    memcpy(end, "\"}", 2);
    (void)prong_emit(ctx, text, (size_t)(end + 2 - text));
}

static int plan(struct prong_ctx *ctx, struct prong_work *ret_work)
{
    struct view v = read_view(ctx);

    if ((uint64_t)v.width * v.height > PIXELS_MAX)
        return prong_fail(ctx, "%u by %u pixels are too many: %u are the most.", v.width, v.height,
                          PIXELS_MAX);
    ret_work->units = (uint64_t)v.columns * v.rows;
    /* Every ray asks every sphere. How often it is mirrored shows only as it is drawn. */
    ret_work->unit_cost =
        (double)v.side * v.side * v.samples * (double)(HEROES + prong_int(ctx, PARAM_SPHERES));
    return 0;
}

/* A tile that was begun is dropped when the host says stop: the part holds whole ones. */
static int map(struct prong_ctx *ctx, uint64_t lo, uint64_t hi)
{
    static struct scene scene;
    static struct tile tile;
    struct view v = read_view(ctx);
    int wants_parts = prong_wants_parts(ctx);

    make_scene(&scene, (uint64_t)prong_int(ctx, PARAM_SEED),
               (unsigned)prong_int(ctx, PARAM_SPHERES), (int)prong_int(ctx, PARAM_DEPTH));
    for (uint64_t at = lo; at < hi; at++) {
        place_tile(&tile, &v, at);
        for (uint32_t row = 0; row < tile.height; row++) {
            if (prong_progress(ctx, at - lo, hi - lo) != 0)
                return 0;
            draw_row(&scene, &v, &tile, row);
        }
        if (prong_write(ctx, tile.rgb, (size_t)tile.width * tile.height * 3) != 0)
            return -1;
        if (wants_parts)
            emit_tile(ctx, &tile);
    }
    (void)prong_progress(ctx, hi - lo, hi - lo);
    return 0;
}

static int pack(struct prong_ctx *ctx, const struct view *v, const uint8_t *rgb)
{
    png_image image = {
        .version = PNG_IMAGE_VERSION,
        .width = v->width,
        .height = v->height,
        .format = PNG_FORMAT_RGB,
        .flags = PNG_IMAGE_FLAG_FAST,
    };
    png_alloc_size_t bytes = PNG_IMAGE_PNG_SIZE_MAX(image);
    void *png = malloc(bytes);
    int err;

    if (png == NULL || !png_image_write_to_memory(&image, png, &bytes, 0, rgb, 0, NULL))
        err = prong_fail(ctx, "The picture could not be packed: %s.",
                         png == NULL ? "there is no memory" : image.message);
    else
        err = prong_write(ctx, png, bytes);
    free(png);
    return err;
}

/* Sorts the tiles' bytes into rows. */
static int finish(struct prong_ctx *ctx, struct prong_buf whole)
{
    struct view v = read_view(ctx);
    const uint8_t *from = whole.data;
    uint8_t *rgb = whole.size == (size_t)v.width * v.height * 3 ? malloc(whole.size) : NULL;
    struct tile tile;
    int err;

    if (rgb == NULL)
        return prong_fail(ctx, "The tiles cannot be put together.");
    for (uint64_t at = 0; at < (uint64_t)v.columns * v.rows; at++) {
        place_tile(&tile, &v, at);
        for (uint32_t row = 0; row < tile.height; row++, from += (size_t)tile.width * 3)
            memcpy(rgb + 3 * ((size_t)(tile.y + row) * v.width + tile.x), from,
                   (size_t)tile.width * 3);
    }
    err = pack(ctx, &v, rgb);
    free(rgb);
    return err;
}

static const char *selftest(void *state)
{
    static struct scene scene;
    struct hit hit;
    struct ray down = {{0, 5, 0}, {0, -1, 0}};

    (void)state;
    make_scene(&scene, 7, 0, 1);
    if (scene.count != HEROES || !find_hit(&scene, &down, &hit) || fabs(hit.distance - 5) > 1e-9)
        return "A ray straight down between the spheres does not meet the floor.";
    return NULL;
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .abi_minor = PRONG_ABI_MINOR,
    .flags = PRONG_PURE | PRONG_IDEMPOTENT,
    .name = "raytrace",
    .version = "1",
    .summary = "Draws spheres of glass, metal and lacquer at dusk, and its tiles as they land.",
    .example = "width=400&height=250&samples=4",
    .media_type = "image/png",
    .params = params,
    .param_count = sizeof(params) / sizeof(params[0]),
    .plan = plan,
    .map = map,
    .finish = finish,
    .selftest = selftest,
};

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t host_abi_major,
                                                           uint32_t host_abi_minor)
{
    (void)host_abi_minor; /* a host with less refuses what the struct says */
    return host_abi_major == PRONG_ABI_MAJOR ? &kernel : NULL;
}
