/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Images of OCI and docker: their JSON with values of all kinds in the places where some are
 * expected. What is read has layers with paths; what it says of its command becomes keys, each with a
 * value of one line.
 */
#include "fuzz/dir.h"

#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lxc/oci.h"

static const char *const strings[] = {
    "v1",
    "app:v1",
    "one/layer.tar",
    "../../up",
    "/etc/passwd",
    "sha256:",
    "a\nb",
    "A=b c",
    "PATH=/bin",
    "root",
    "1000:100",
    "app",
    "4294967296",
    "-1:",
    "/bin/sh",
    "-c",
    "echo $A 'x' \"y\" \\",
    "",
    "/d",
    "..",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "SIGTERM"};

static json_t *any(struct feed *f, int depth);

static json_t *text(struct feed *f)
{
    return feed_rarely(f, 15) ? any(f, 0) : json_string(feed_pick(f, strings));
}

static json_t *texts(struct feed *f)
{
    if (feed_rarely(f, 15))
        return any(f, 0);
    json_t *a = json_array();
    for (uint32_t n = feed_below(f, 5); n > 0; n--)
        json_array_append_new(a, text(f));
    return a;
}

/* A value of any kind. */
static json_t *any(struct feed *f, int depth)
{
    json_t *v;
    switch (feed_below(f, depth < 3 ? 7 : 5)) {
    case 0:
        return json_null();
    case 1:
        return json_boolean(feed_below(f, 2));
    case 2:
        return json_integer((json_int_t)feed_u64(f));
    case 3:
        return json_real(feed_byte(f) / 7.0);
    case 4:
        return json_string(feed_pick(f, strings));
    case 5:
        v = json_array();
        for (uint32_t n = feed_below(f, 4); n > 0; n--)
            json_array_append_new(v, any(f, depth + 1));
        return v;
    default:
        v = json_object();
        for (uint32_t n = feed_below(f, 4); n > 0; n--)
            json_object_set_new(v, feed_pick(f, strings), any(f, depth + 1));
        return v;
    }
}

static void put(json_t *o, const char *key, json_t *value, struct feed *f)
{
    if (feed_rarely(f, 10))
        json_decref(value); /* it is missing */
    else
        json_object_set_new(o, key, value);
}

static json_t *config(struct feed *f)
{
    json_t *o = json_object(), *c = json_object(), *fs = json_object();
    put(c, "Env", texts(f), f);
    put(c, "Entrypoint", texts(f), f);
    put(c, "Cmd", texts(f), f);
    put(c, "User", text(f), f);
    put(c, "WorkingDir", text(f), f);
    put(c, "StopSignal", text(f), f);
    put(o, "config", feed_rarely(f, 12) ? any(f, 0) : json_incref(c), f);
    put(fs, "diff_ids", texts(f), f);
    put(o, "rootfs", json_incref(fs), f);
    json_decref(c);
    json_decref(fs);
    return o;
}

/* docker save: [{"Config": …, "RepoTags": …, "Layers": …}] */
static json_t *docker(struct feed *f)
{
    json_t *all = json_array();
    for (uint32_t n = 1 + feed_below(f, 3); n > 0; n--) {
        json_t *one = json_object();
        put(one, "Config", feed_rarely(f, 8) ? text(f) : json_string("config.json"), f);
        put(one, "RepoTags", texts(f), f);
        put(one, "Layers", texts(f), f);
        json_array_append_new(all, feed_rarely(f, 12) ? any(f, 0) : json_incref(one));
        json_decref(one);
    }
    return all;
}

static json_t *layout(struct feed *f)
{
    json_t *o = json_object(), *all = json_array();
    for (uint32_t n = feed_below(f, 4); n > 0; n--) {
        json_t *one = json_object(), *notes = json_object();
        put(one, "mediaType", text(f), f);
        put(one, "digest", text(f), f);
        put(one, "size", feed_rarely(f, 6) ? any(f, 0) : json_integer(feed_byte(f)), f);
        put(notes, "org.opencontainers.image.ref.name", text(f), f);
        put(one, "annotations", json_incref(notes), f);
        put(one, "platform", any(f, 1), f);
        json_array_append_new(all, json_incref(one));
        json_decref(one);
        json_decref(notes);
    }
    put(o, "manifests", json_incref(all), f);
    put(o, "schemaVersion", json_integer(2), f);
    json_decref(all);
    return o;
}

static void keep(int dir, const char *name, json_t *value, struct feed *f)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    size_t len = text ? strlen(text) : 0;
    if (feed_rarely(f, 20))
        len = feed_below(f, len + 1); /* cut off */
    must(file_replace_at(dir, name, text ? text : "", len, 0600, NULL) == 0);
    free(text);
    json_decref(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int dir = -1;
    struct feed f = {data, size};
    struct error err = {0};
    struct oci_image image = {0};
    if (dir < 0) {
        dir = fuzz_dir();
        must(mkdirat(dir, "blobs", 0700) == 0 && mkdirat(dir, "etc", 0700) == 0);
        must(file_replace_at(dir, "etc/passwd", "app:x:1000:100::/:/bin/sh\n", 26, 0600, NULL) ==
             0);
    }
    const bool oci = feed_rarely(&f, 4);
    unlinkat(dir, "index.json", 0);
    unlinkat(dir, "oci-layout", 0);
    if (oci) {
        keep(dir, "oci-layout", json_pack("{s:s}", "imageLayoutVersion", "1.0.0"), &f);
        keep(dir, "index.json", layout(&f), &f);
    } else {
        keep(dir, "manifest.json", docker(&f), &f);
        keep(dir, "config.json", config(&f), &f);
    }
    const char *tag = feed_below(&f, 3) ? NULL : feed_pick(&f, strings);
    if (oci_read(dir, tag, &image, &err) < 0) {
        must(*err.text != '\0');
    } else {
        cleanup_conf struct conf *conf = conf_new("image");
        must(image.count <= OCI_LAYERS);
        for (size_t i = 0; i < image.count; i++)
            must(image.layers[i].path != NULL);
        if (oci_conf(&image, dir, conf, &err) < 0)
            must(*err.text != '\0');
        for (size_t i = 0; i < conf->count; i++)
            must(!conf->lines[i].value || !strchr(conf->lines[i].value, '\n'));
    }
    oci_clear(&image);
    return 0;
}
