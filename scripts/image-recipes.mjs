/**
 * What goes into each base image. All come from one Debian release and know the user `nonroot` (65532), whose home is the
 * one place a machine may write to.
 *   include   Debian packages
 *   newer     of these, the release's backports have what we want
 *   npm       programs that come from npm rather than from Debian
 *   versions  the packages whose versions are worth telling
 *   slim      paths nobody needs at run time
 *   skip      of mmdebstrap's own cleaning, what would take away something we made
 */
export const release = 'trixie';

const certificates = ['ca-certificates', 'tzdata'];

export const recipes = {
  node: {
    tag: 'cestx/node:24',
    // What Node's own binary, and most prebuilt modules, are linked with.
    include: [...certificates, 'libstdc++6'],
    npm: true,
    // The numbers people's own Dockerfiles know from Docker's official Node image.
    hooks: [
      'chroot "$1" groupadd --gid 1000 node',
      'chroot "$1" useradd --uid 1000 --gid node --create-home --shell /bin/bash node',
    ],
    owner: '1000:1000',
    user: 'node',
    command: ['node'],
  },
  python: {
    tag: 'cestx/python:3',
    include: [...certificates, 'python3', 'python3-venv', 'python3-pip', 'libstdc++6'],
    versions: { python: /^python3\.\d+$/, pip: /^python3-pip$/ },
    hooks: [
      'ln -s python3 "$1/usr/bin/python"',
      // Nothing else in the image uses Debian's own modules, so there is nothing for pip to break.
      'rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',
    ],
    // Python keeps lines back when nobody looks, and a log is nobody.
    environment: { PYTHONUNBUFFERED: '1' },
    owner: '65532:65532',
    user: 'nonroot',
    command: ['python3'],
  },
  go: {
    tag: 'cestx/go:1',
    include: [...certificates, 'golang-go'],
    newer: ['golang-go', 'golang-src', 'golang-*-go', 'golang-*-src'],
    versions: { go: /^golang-[\d.]+-go$/ },
    // Go's own tests and their data.
    slim: ['/usr/share/go-*/test', '/usr/share/go-*/api'],
    // The standard library, compiled as builds compile it (their flags, cache and user): else each project's first build does.
    hooks: [
      'chroot "$1" env HOME=/tmp CGO_ENABLED=0 GOFLAGS=-trimpath GOCACHE=/tmp/cache/go-build go build std',
      'chown -R 65534:65534 "$1/tmp/cache"',
    ],
    skip: ['cleanup/tmp'],
    // There is no C compiler here.
    environment: { CGO_ENABLED: '0' },
    owner: '65532:65532',
    user: 'nonroot',
    command: ['go', 'version'],
  },
  /** What a program that needs nothing but itself runs on: a shell, certificates and time zones. */
  run: {
    tag: 'cestx/run:1',
    variant: 'essential',
    include: certificates,
    owner: '65532:65532',
    user: 'nonroot',
    command: ['sh'],
  },
};
