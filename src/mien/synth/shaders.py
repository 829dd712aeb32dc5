"""The GLSL programs of the renderer. Light is linear; `finish` maps it to display values.

Alpha carries the region code of the pixel (x / 255); nothing is blended, thin things are discarded by hashed noise.
"""

from __future__ import annotations

VIEW = """
uniform mat3 head_rotation, body_rotation;
uniform vec3 pivot, offset;
uniform vec4 frame;          // normalised device position = frame.xy * (x, -y) / depth + frame.zw
uniform vec3 lens;           // camera distance, depth slope, depth intercept
vec4 project(vec3 p) {
    float w = lens.x - p.z;
    return vec4(frame.x * p.x + frame.z * w, -frame.y * p.y + frame.w * w, lens.y * w + lens.z, w);
}
vec3 pose(vec3 p, float share) {
    vec3 d = p - pivot;
    return mix(body_rotation * d, head_rotation * d, share) + pivot + offset;
}
"""

_LIGHT = """
uniform vec3 key_direction, key_colour, rim_direction, rim_colour;
uniform vec3 ambient[4];     // constant, x, y, z
uniform vec3 lens;
out vec4 pixel;
vec3 surround(vec3 n) { return max(ambient[0] + ambient[1] * n.x + ambient[2] * n.y + ambient[3] * n.z, vec3(0.0)); }
vec3 linear(vec3 c) { return c * c; }
vec4 finish(vec3 c, float region) {
    c = max(mix(vec3(dot(c, vec3(0.3, 0.6, 0.1))), c, 1.2), 0.0);
    return vec4(sqrt(1.0 - exp(-1.4 * c)), region / 255.0);
}
float hash(vec3 p) {
    p = fract(p * vec3(0.1031, 0.1030, 0.0973));
    p += dot(p, p.yzx + 33.33);
    return fract((p.x + p.y) * p.z);
}
float gloss_lobe(vec3 n, vec3 l, vec3 v, float power) {
    vec3 h = normalize(l + v);
    return pow(max(dot(n, h), 0.0), power) * (power + 8.0) / 25.0;
}
float strand_lobe(vec3 t, vec3 l, vec3 v, float power) {
    float th = dot(t, normalize(l + v));
    return pow(max(1.0 - th * th, 0.0), 0.5 * power);
}
"""

SURFACE_VERTEX = (
    "#version 330\n"
    + VIEW
    + """
in vec3 in_position, in_normal, in_rest;
in vec2 in_occlusion, in_uv;
in float in_neck, in_hair;
out vec3 position, normal, rest, local;
out vec2 occlusion, uv;
out float hair;
void main() {
    position = pose(in_position, in_neck);
    normal = mix(body_rotation * in_normal, head_rotation * in_normal, in_neck);
    rest = in_rest; local = in_position; occlusion = in_occlusion; uv = in_uv; hair = in_hair;
    gl_Position = project(position);
}
"""
)

_SURFACE_IN = (
    "#version 330\n"
    + _LIGHT
    + """
in vec3 position, normal, rest, local;
in vec2 occlusion, uv;
in float hair;
"""
)

_PAINTED = """
uniform sampler2D paint, regions;
vec4 surface_colour() { return texture(paint, uv); }
float surface_region() { return floor(texture(regions, uv).r * 255.0 + 0.5); }
"""
_PLAIN = """
uniform vec3 skin;
uniform float collar;
vec4 surface_colour() {
    // Skin under clothes is left out, so that it cannot show through them.
    if (rest.y < -13.0 - collar || (rest.y < -9.8 && (abs(rest.x) > 5.9 || rest.z < -2.5))) discard;
    return vec4(skin, 0.42);
}
float surface_region() { return 1.0; }
"""
_SKIN = """
uniform vec3 hair_colour;
uniform float gloss, roots;
void main() {
    vec4 texel = surface_colour();
    float region = surface_region();
    float grain = hash(floor(rest * 7.0));
    float cover = smoothstep(-0.5, 0.7, hair + 0.8 * (grain - 0.5)) * roots;
    vec3 albedo = linear(mix(texel.rgb, hair_colour * (0.7 + 0.4 * grain), cover));
    if (cover > 0.5) region = 2.0;
    if (rest.y < -8.6 - 0.3 * (rest.z - 4.0) && rest.y < -8.6) region = 6.0;
    vec3 n = normalize(normal), v = normalize(vec3(0, 0, lens.x) - position), l = key_direction;
    float ao = occlusion.y, shadow = occlusion.x;
    // Light bleeds through skin: red wraps furthest around the terminator and into shadow edges.
    vec3 wrap = vec3(0.40, 0.20, 0.13);
    vec3 key = clamp((vec3(dot(n, l)) + wrap) / (1.0 + wrap), 0.0, 1.0);
    key *= key_colour * pow(vec3(shadow), vec3(0.75, 1.05, 1.2));
    vec3 rim = clamp((vec3(dot(n, rim_direction)) + 0.5 * wrap) / (1.0 + 0.5 * wrap), 0.0, 1.0) * rim_colour * ao;
    vec3 bounce = pow(vec3(ao), vec3(1.0) - 0.45 * albedo);
    vec3 colour = albedo * (surround(n) * bounce + key + rim);
    float fresnel = 0.028 + 0.22 * pow(1.0 - max(dot(n, v), 0.0), 5.0);
    float shine = texel.a * gloss * (1.0 - cover);
    float lobes = 0.65 * gloss_lobe(n, l, v, 14.0) + 0.35 * gloss_lobe(n, l, v, 48.0);
    colour += key_colour * shadow * shine * lobes * 0.085 * max(dot(n, l) + 0.15, 0.0);
    colour += rim_colour * ao * shine * gloss_lobe(n, rim_direction, v, 18.0) * 0.05;
    colour += surround(reflect(-v, n)) * ao * fresnel * (0.25 + 0.75 * shine);
    pixel = finish(colour, region);
}
"""
FACE_FRAGMENT = _SURFACE_IN + _PAINTED + _SKIN
NECK_FRAGMENT = _SURFACE_IN + _PLAIN + _SKIN

INSIDE_FRAGMENT = (
    _SURFACE_IN
    + """
uniform vec3 tint;
uniform float open_mouth, wet;
void main() {
    vec3 n = normalize(normal), v = normalize(vec3(0, 0, lens.x) - position);
    float depth = smoothstep(3.0, 10.6, local.z);
    float ao = (0.03 + 0.97 * depth * depth) * mix(0.28, 0.85, open_mouth);
    vec3 albedo = linear(tint);
    float lit = 0.35 + 0.65 * max(dot(n, key_direction), 0.0);
    vec3 colour = albedo * ao * (surround(n) + 0.75 * key_colour * lit);
    colour += key_colour * wet * ao * gloss_lobe(n, key_direction, v, 60.0) * 0.05;
    pixel = finish(colour, 4.0);
}
"""
)

EYE_FRAGMENT = (
    _SURFACE_IN
    + """
uniform vec3 centre, iris_colour;
uniform mat3 gaze;           // rotates the straight-ahead eye to where it looks
uniform float iris_size, pupil_size, lid_drop;
uniform mat3 turn;
void main() {
    vec3 direction = normalize(local - centre);
    vec3 d = transpose(gaze) * direction;
    float r = d.z > 0.0 ? length(d.xy) : 1.0;
    float angle = atan(d.y, d.x);
    float spokes = 0.5 + 0.5 * sin(angle * 23.0 + 4.0 * sin(angle * 7.0));
    float t = clamp((r - pupil_size) / (iris_size - pupil_size), 0.0, 1.0);
    vec3 inner = mix(iris_colour * 1.2, iris_colour * (0.75 + 0.5 * spokes), smoothstep(0.0, 0.45, t));
    vec3 iris = mix(inner, iris_colour * 0.35, smoothstep(0.70, 1.0, t));
    // The cornea gathers light on the side away from the key.
    vec3 key_inside = transpose(gaze) * transpose(turn) * key_direction;
    iris *= 1.0 + 0.7 * max(0.0, dot(normalize(d.xy + 1e-4), -normalize(key_inside.xy + 1e-4)));
    vec3 white = vec3(0.86, 0.82, 0.80) - vec3(0.03, 0.14, 0.14) * smoothstep(0.50, 0.92, length(direction.xy));
    vec3 albedo = mix(iris, white, smoothstep(iris_size - 0.035, iris_size + 0.03, r));
    albedo = linear(mix(vec3(0.012), albedo, smoothstep(pupil_size - 0.03, pupil_size + 0.03, r)));
    vec3 n = normalize(turn * direction), v = normalize(vec3(0, 0, lens.x) - position), l = key_direction;
    float lid = 1.0 - 0.60 * smoothstep(0.05, 0.50, direction.y + lid_drop);
    lid -= 0.25 * smoothstep(0.35, 0.65, -direction.y);
    float corner = 1.0 - 0.55 * smoothstep(0.55, 0.95, abs(direction.x));
    float ao = max(lid * corner, 0.1);
    float key = clamp((dot(n, l) + 0.35) / 1.35, 0.0, 1.0) * mix(0.35, 1.0, occlusion.x);
    vec3 rim = 0.4 * rim_colour * max(dot(n, rim_direction), 0.0);
    vec3 colour = albedo * ao * (surround(n) * 0.9 + key * key_colour * 0.95 + rim);
    // Cornea: the bulge turns with the gaze and mirrors the key light and a fixed window.
    vec3 axis = turn * gaze * vec3(0, 0, 1);
    vec3 bulge = r < iris_size * 1.2 ? normalize(n + 0.55 * (n - axis)) : n;
    float wet = smoothstep(0.75, 0.2, direction.y + lid_drop);
    colour += (key_colour + 0.15) * gloss_lobe(bulge, l, v, 260.0) * 0.35 * wet;
    colour += surround(vec3(0, 1, 0)) * gloss_lobe(bulge, normalize(vec3(-0.35, 0.45, 0.8)), v, 420.0) * 0.22 * wet;
    colour += surround(reflect(-v, n)) * 0.025;
    pixel = finish(colour, 3.0);
}
"""
)

LASH_FRAGMENT = (
    _SURFACE_IN
    + """
uniform vec3 tint;
uniform float thickness;
void main() {
    float upper = step(3.32, rest.y);
    float strand = hash(vec3(floor(uv.x * 190.0) * 1.37, 5.1, 3.7));
    if (strand > mix(0.05, thickness, upper)) discard;
    vec3 n = normalize(normal);
    pixel = finish(linear(tint) * (surround(n) + 0.4 * key_colour), 1.0);
}
"""
)

FUR_VERTEX = (
    "#version 330\n"
    + VIEW
    + """
in vec3 in_position, in_normal, in_rest;
in vec2 in_occlusion;
in float in_neck, in_hair;
uniform vec3 comb;
uniform float length_cm, layers, lay, taper_cm;
out vec3 position, normal, tangent, rest;
out vec2 occlusion;
out float hair, height;
void main() {
    height = (float(gl_InstanceID) + 1.0) / layers;
    vec3 along = comb - in_normal * dot(comb, in_normal);
    float grown = length_cm * (0.12 + 0.88 * smoothstep(-0.3, taper_cm, in_hair));
    vec3 p = in_position + in_normal * grown * height + along * grown * lay * height * height;
    position = pose(p, in_neck);
    normal = head_rotation * in_normal;
    tangent = head_rotation * normalize(along + 0.35 * in_normal);
    rest = in_rest; occlusion = in_occlusion; hair = in_hair;
    gl_Position = project(position);
}
"""
)

FUR_FRAGMENT = (
    "#version 330\n"
    + _LIGHT
    + """
in vec3 position, normal, tangent, rest;
in vec2 occlusion;
in float hair, height;
uniform vec3 tint, comb;
uniform float density, curl, cells;
void main() {
    vec3 q = rest - comb * dot(rest, comb) * mix(0.88, 0.0, curl);
    q += curl * 0.35 * sin(rest.yzx * 3.1);
    float strand = hash(floor(q * cells));
    float clump = hash(floor(q * cells * 0.23 + 7.0));
    float reach = (0.35 + 0.65 * strand) * (0.55 + 0.45 * clump) * 1.25;
    float cover = smoothstep(-0.5, 0.9, hair + 0.9 * (strand - 0.5)) * density;
    if (height > reach * cover || cover < 0.25) discard;
    vec3 n = normalize(normal), v = normalize(vec3(0, 0, lens.x) - position);
    vec3 t = normalize(tangent + 0.5 * (strand - 0.5));
    float deep = mix(0.30, 1.0, height) * (0.75 + 0.25 * clump);
    vec3 albedo = linear(tint * (0.78 + 0.44 * strand));
    float key = clamp((dot(n, key_direction) + 0.3) / 1.3, 0.0, 1.0) * mix(0.25, 1.0, occlusion.x);
    float rim = clamp(dot(n, rim_direction) + 0.2, 0.0, 1.0);
    vec3 colour = albedo * deep * (surround(n) * mix(0.5, 1.0, occlusion.y) + key * key_colour + rim * rim_colour);
    float shine = strand_lobe(t, key_direction, v, 60.0) * key * (1.0 - 0.6 * curl) * deep;
    colour += key_colour * shine * (0.05 + 0.5 * albedo);
    colour += rim_colour * strand_lobe(t, rim_direction, v, 30.0) * rim * deep * (0.03 + 0.4 * albedo);
    pixel = finish(colour, 2.0);
}
"""
)

HAIR_VERTEX = (
    "#version 330\n"
    + VIEW
    + """
in vec3 in_position, in_normal, in_tangent;
in vec2 in_uv;
in float in_neck, in_depth;
out vec3 position, normal, tangent, local, bulk;
out vec2 uv;
out float depth;
void main() {
    position = pose(in_position, in_neck);
    bulk = head_rotation * normalize(in_position - vec3(0.0, min(3.0, in_position.y), 0.0));
    normal = head_rotation * in_normal; tangent = head_rotation * in_tangent;
    uv = in_uv; local = in_position; depth = in_depth;
    gl_Position = project(position);
}
"""
)

HAIR_FRAGMENT = (
    "#version 330\n"
    + _LIGHT
    + """
in vec3 position, normal, tangent, local, bulk;
in vec2 uv;
in float depth;
uniform vec3 tint;
uniform float strands, sparse, fringe;
void main() {
    vec3 v = normalize(vec3(0, 0, lens.x) - position);
    // Cards are flat; hair as a whole is round.
    vec3 n = normalize(normal * sign(dot(normal, bulk)) + 1.2 * bulk);
    if (dot(n, v) < 0.0) n = -n;
    float bend = uv.x + 0.004 * sin(uv.y * 9.0);
    float fine = hash(vec3(floor(bend * strands) * 1.37, 4.3, 1.9));
    float wide = hash(vec3(floor(bend * strands * 0.17) * 1.61, 8.7, 2.3));
    // The face stays free: a fringe ends above the brows, sides end beside the cheeks.
    float ragged = 0.9 * (wide - 0.5) + 0.7 * (fine - 0.5);
    float side = 6.5 - 0.10 * max(4.0 - local.y, 0.0) + 0.5 * ragged;
    if (local.z > 2.5 && abs(local.x) < side && local.y < fringe - 0.06 * local.x * local.x + ragged) discard;
    float edge = smoothstep(0.05, 0.6, abs(dot(n, v)));
    if (fine > 0.35 + edge + sparse) discard;
    vec3 t = normalize(tangent + 0.30 * (fine - 0.5) * n);
    vec3 albedo = linear(tint * (0.68 + 0.32 * fine + 0.20 * wide));
    float key = clamp((dot(n, key_direction) + 0.35) / 1.35, 0.0, 1.0);
    float rim = clamp(dot(n, rim_direction) + 0.2, 0.0, 1.0);
    float ao = mix(0.35, 1.0, depth);
    vec3 colour = albedo * (surround(n) * ao + key * key_colour * mix(0.5, 1.0, depth) + rim * rim_colour * ao);
    colour += key_colour * key * strand_lobe(t, key_direction, v, 90.0) * (0.04 + 0.55 * albedo) * ao;
    colour += rim_colour * rim * strand_lobe(t, rim_direction, v, 40.0) * (0.03 + 0.4 * albedo) * ao;
    pixel = finish(colour, 2.0);
}
"""
)

CLOTH_FRAGMENT = (
    "#version 330\n"
    + _LIGHT
    + """
in vec3 position, normal, tangent, local;
in vec2 uv;
in float depth;
uniform vec3 tint, accent;
uniform float stripes;
void main() {
    vec3 n = normalize(normal);
    float weave = hash(floor(local * 6.0));
    float band = step(0.5, fract(local.y * 0.35)) * stripes + (1.0 - smoothstep(0.02, 0.06, uv.y)) ;
    vec3 albedo = linear(mix(tint, accent, clamp(band, 0.0, 1.0)) * (0.94 + 0.12 * weave));
    float key = clamp((dot(n, key_direction) + 0.2) / 1.2, 0.0, 1.0);
    vec3 direct = key * key_colour + 0.7 * rim_colour * max(dot(n, rim_direction), 0.0);
    vec3 colour = albedo * (surround(n) * depth + direct * mix(0.3, 1.0, depth));
    pixel = finish(colour, 6.0);
}
"""
)

DEPTH_VERTEX = """#version 330
in vec3 in_position;
uniform mat4 view;
void main() { gl_Position = view * vec4(in_position, 1.0); }
"""
DEPTH_FRAGMENT = """#version 330
void main() { }
"""

UNWRAP_VERTEX = """#version 330
in vec3 in_rest;
in vec2 in_uv;
out vec3 rest;
void main() { rest = in_rest; gl_Position = vec4(in_uv * 2.0 - 1.0, 0.0, 1.0); }
"""
UNWRAP_FRAGMENT = """#version 330
in vec3 rest;
out vec4 pixel;
void main() { pixel = vec4(rest, 1.0); }
"""
