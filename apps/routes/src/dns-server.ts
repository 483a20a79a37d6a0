import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { createServer, isIPv6, type Server, type Socket } from 'node:net';

/** What answers one message; null is silence. */
export type Answerer = (query: Buffer, transport: 'udp' | 'tcp') => Buffer | null;

export interface DnsServerOptions {
  host: string;
  /** 0 takes any port that is free for both. */
  port: number;
  answer: Answerer;
  onError: (error: Error) => void;
  /** How long a silent TCP connection is kept. */
  idleMs?: number;
  maxConnections?: number;
}

const lengthBytes = 2;
/** No honest question is longer; a connection that announces more is closed before it is buffered. */
const longestQuery = 4096;
const triesForAFreePort = 10;

/** Sockets for DNS: one UDP and one TCP (RFC 7766), on the same port. What is said on them is the answerer's affair. */
export class DnsServer {
  readonly #open = new Set<Socket>();

  private constructor(
    readonly port: number,
    private readonly datagrams: DatagramSocket,
    private readonly streams: Server,
    private readonly options: DnsServerOptions,
  ) {
    datagrams.on('error', options.onError);
    datagrams.on('message', (query, from) => {
      const answer = this.#answer(query, 'udp');
      // Who asks from port 0 or from a network that is gone cannot be answered; that is no fault of ours.
      if (answer) datagrams.send(answer, from.port, from.address, () => {});
    });
    streams.on('error', options.onError);
    streams.on('connection', (socket) => this.#serve(socket));
  }

  static async listen(options: DnsServerOptions): Promise<DnsServer> {
    for (let attempt = 1; ; attempt += 1) {
      const datagrams = createSocket(isIPv6(options.host) ? 'udp6' : 'udp4');
      const streams = createServer({ noDelay: true, pauseOnConnect: false });
      streams.maxConnections = options.maxConnections ?? 100;
      try {
        await settled(datagrams, () =>
          datagrams.bind({ port: options.port, address: options.host, exclusive: true }),
        );
        const { port } = datagrams.address();
        await settled(streams, () => streams.listen({ port, host: options.host, exclusive: true }));
        return new DnsServer(port, datagrams, streams, options);
      } catch (error) {
        datagrams.close();
        if (options.port !== 0 || codeOf(error) !== 'EADDRINUSE' || attempt === triesForAFreePort)
          throw error;
      }
    }
  }

  async close(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    await Promise.all([
      new Promise<void>((resolve) => this.datagrams.close(() => resolve())),
      new Promise<void>((resolve) => this.streams.close(() => resolve())),
    ]);
  }

  #serve(socket: Socket): void {
    this.#open.add(socket);
    socket.setTimeout(this.options.idleMs ?? 10_000, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#open.delete(socket));

    let received: Buffer = Buffer.alloc(0);
    const answerWhatIsComplete = () => {
      while (received.length >= lengthBytes) {
        const length = received.readUInt16BE(0);
        if (length > longestQuery) return socket.destroy();
        if (received.length < lengthBytes + length) return undefined;
        const query = received.subarray(lengthBytes, lengthBytes + length);
        received = received.subarray(lengthBytes + length);
        const answer = this.#answer(query, 'tcp');
        if (!answer) return socket.destroy();
        // Who asks without reading the answers has to wait: what he has sent stays in the kernel's buffers.
        if (!socket.write(framed(answer))) {
          socket.pause();
          return undefined;
        }
      }
      return undefined;
    };
    socket.on('drain', () => {
      answerWhatIsComplete();
      if (!socket.writableNeedDrain) socket.resume();
    });
    socket.on('data', (chunk) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      answerWhatIsComplete();
    });
  }

  #answer(query: Buffer, transport: 'udp' | 'tcp'): Buffer | null {
    try {
      return this.options.answer(query, transport);
    } catch (error) {
      this.options.onError(error instanceof Error ? error : new Error(String(error)));
      return null;
    }
  }
}

function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(lengthBytes);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

function settled(server: DatagramSocket | Server, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      resolve();
    });
    start();
  });
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
