import type Docker from 'dockerode';

/**
 * What one build has written to the engine's disk: the layers it made, and what its step has written so far. The engine
 * tells of them only in the build's output. Whoever prints the same adds to his own account; he takes nothing away.
 */
export class EngineDiskUse {
  readonly #docker: Docker;
  readonly #containers = new Set<string>();
  /** Bytes a layer added, null while nobody has looked yet. */
  readonly #images = new Map<string, number | null>();

  /** `bases` are the images the build starts from. */
  constructor(docker: Docker, bases: readonly string[]) {
    this.#docker = docker;
    for (const id of bases) this.#images.set(id.replace(/^sha256:/, '').slice(0, 12), 0);
  }

  /** Takes the output of the build. */
  readonly line = (text: string): void => {
    const [, container, image] = /^ ?---> (?:Running in ([0-9a-f]{12})|([0-9a-f]{12}))\s*$/.exec(text) ?? [];
    if (container) this.#containers.add(container);
    if (image && !this.#images.has(image)) this.#images.set(image, null);
  };

  /** Bytes. */
  readonly measure = async (): Promise<number> => {
    let total = 0;
    for (const [id, known] of this.#images) {
      const size = known ?? (await this.#layerSize(id));
      this.#images.set(id, size);
      total += size;
    }
    return total + (await this.#containerSizes());
  };

  async #layerSize(id: string): Promise<number> {
    const image = await this.#docker.getImage(id).inspect();
    const parent = image.Parent ? await this.#docker.getImage(image.Parent).inspect() : null;
    return Math.max(0, image.Size - (parent?.Size ?? 0));
  }

  /** Of those that still run; what the others wrote is in their layers. */
  async #containerSizes(): Promise<number> {
    if (this.#containers.size === 0) return 0;
    const filters = { id: [...this.#containers] };
    const found = await this.#docker.listContainers({ all: true, size: true, filters });
    return found.reduce((total, container) => total + (sizeOf(container) ?? 0), 0);
  }
}

function sizeOf(container: object): number | undefined {
  return 'SizeRw' in container && typeof container.SizeRw === 'number' ? container.SizeRw : undefined;
}
