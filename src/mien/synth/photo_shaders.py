"""The GLSL programs that draw photographed heads; what they share with drawn heads is in `mien.synth.shaders`.

Light is nine numbers of spherical harmonics; colours are linearised with a power of 2.2. Opacity is in alpha while
colours are blended; a second draw with `code` above zero writes region codes where something is more opaque than not.
"""

from __future__ import annotations

from mien.synth.shaders import VIEW

_LIGHT = """
uniform float light[9], old_light[9];
uniform vec3 tint;
uniform float code, albedo_range;
out vec4 pixel;
float shade(float l[9], vec3 n) {
    float s = l[0] + l[1] * n.x + l[2] * n.y + l[3] * n.z + l[4] * n.x * n.y + l[5] * n.y * n.z
        + l[6] * (3.0 * n.z * n.z - 1.0) + l[7] * n.x * n.z + l[8] * (n.x * n.x - n.y * n.y);
    return clamp(s, 0.6, 1.55);
}
vec4 finish(vec3 c, float alpha, float region) {
    if (code > 0.5) {
        if (alpha < 0.5) discard;
        return vec4(0.0, 0.0, 0.0, region / 255.0);
    }
    return vec4(pow(clamp(c, 0.0, 1.0), vec3(1.0 / 2.2)), alpha);
}
"""

FACE_VERTEX = (
    "#version 330\n"
    + VIEW
    + """
in vec3 in_position, in_normal;
in vec2 in_uv;
in float in_neck, in_edge, in_core;
out vec3 normal;
out vec2 uv;
out float edge, core;
void main() {
    normal = mix(body_rotation * in_normal, head_rotation * in_normal, in_neck);
    uv = in_uv; edge = in_edge; core = in_core;
    gl_Position = project(pose(in_position, in_neck));
}
"""
)

FACE_FRAGMENT = (
    "#version 330\n"
    + _LIGHT
    + """
in vec3 normal;
in vec2 uv;
in float edge, core;
uniform sampler2D paint, regions;
void main() {
    vec4 texel = texture(paint, uv);
    float alpha = max(core, edge * texel.a);
    if (alpha < 0.02 && code > -0.5) discard;  // below zero: depth alone
    vec3 n = normalize(normal);
    vec3 colour = pow(texel.rgb, vec3(2.2)) * albedo_range * shade(light, n) * tint;
    pixel = finish(colour, alpha, floor(texture(regions, uv).r * 255.0 + 0.5));
}
"""
)

SHEET_VERTEX = (
    "#version 330\n"
    + VIEW
    + """
in vec3 in_head, in_body, in_normal;
in vec2 in_uv;
in float in_share;
uniform mat3 photo_rotation;   // how the head was turned in the photograph
out vec3 normal, old_normal, local;
out vec2 uv;
void main() {
    normal = head_rotation * in_normal;
    old_normal = photo_rotation * in_normal;
    uv = in_uv; local = in_head + pivot;
    gl_Position = project(mix(body_rotation * in_body, head_rotation * in_head, in_share) + pivot + offset);
}
"""
)

SHEET_FRAGMENT = (
    "#version 330\n"
    + _LIGHT
    + """
in vec3 normal, old_normal, local;
in vec2 uv;
uniform sampler2D photo;
uniform vec3 hair_tint;
void main() {
    vec4 texel = texture(photo, uv);
    if (texel.a < 0.02) discard;
    float relit = shade(light, normalize(normal)) / shade(old_light, normalize(old_normal));
    vec3 colour = pow(texel.rgb, vec3(2.2)) * relit * mix(hair_tint, tint, 0.6);
    float alpha = texel.a * smoothstep(0.0, 0.012, uv.y);  // hair cut by the photograph does not go on above it
    pixel = finish(colour, alpha, local.y < -8.5 ? 6.0 : 2.0);
}
"""
)

SKULL_VERTEX = (
    "#version 330\n"
    + VIEW
    + """
in vec3 in_position, in_normal, in_colour, in_rest;
in float in_neck, in_scale;
out vec3 normal, colour;
out float rest_y;
void main() {
    normal = head_rotation * in_normal; colour = in_colour;
    vec3 middle = vec3(0.0, 4.0, 0.0);
    float s = 1.0 + 0.97 * (in_scale - 1.0);
    vec3 flat_ears = vec3(in_position.y < 6.0 ? clamp(in_position.x, -7.0, 7.0) : in_position.x, in_position.yz);
    rest_y = in_rest.y;
    vec3 grown = middle + (flat_ears - middle) * vec3(s, s, 0.5 + 0.5 * s);
    gl_Position = project(pose(grown, in_neck));
}
"""
)

SKULL_FRAGMENT = (
    "#version 330\n"
    + _LIGHT
    + """
in vec3 normal, colour;
in float rest_y;
uniform vec3 hair_tint;
void main() {
    vec3 lit = pow(colour, vec3(2.2)) * 0.85 * shade(light, normalize(normal)) * hair_tint;
    pixel = finish(lit, smoothstep(-9.5, -6.0, rest_y), 2.0);
}
"""
)
