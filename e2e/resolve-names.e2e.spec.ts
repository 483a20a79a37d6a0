import { createSocket } from 'node:dgram';
import { connect } from 'node:net';

import { decode, encode, streamDecode, streamEncode, type Packet, type RecordType } from 'dns-packet';
import { expect, test } from 'vitest';

import { deployHello, removeAndWait } from './harness/deploy.ts';
import { inEachHouse } from './harness/each-house.ts';
import { uniqueName } from './harness/sample-apps.ts';

type Transport = (port: number, type: RecordType, name: string) => Promise<Packet>;

inEachHouse('names', (house) => {
  test.each<[string, Transport]>([
    ['UDP', overUdp],
    ['TCP', overTcp],
  ])('over %s a function resolves to the gateway, everything else in the zone does not', async (_, ask) => {
    const name = uniqueName('zone');
    const port = house().dnsPort;
    await deployHello(house(), name);
    const a = await ask(port, 'A', `${name}.localhost`);
    expect(a).toMatchObject({ rcode: 'NOERROR', flag_aa: true });
    expect(a.answers).toMatchObject([{ type: 'A', name: `${name}.localhost`, data: '127.0.0.1' }]);
    expect(await ask(port, 'A', `nobody-${name}.localhost`)).toMatchObject({
      rcode: 'NXDOMAIN',
      flag_aa: true,
      authorities: [{ type: 'SOA' }],
    });
    expect((await ask(port, 'SOA', 'localhost')).answers).toMatchObject([{ type: 'SOA' }]);
    expect((await ask(port, 'NS', 'localhost')).answers).toMatchObject([{ type: 'NS' }]);
    expect(await ask(port, 'A', 'example.com')).toMatchObject({ rcode: 'REFUSED' });
    await removeAndWait(house(), name);
    expect(await ask(port, 'A', `${name}.localhost`)).toMatchObject({ rcode: 'NXDOMAIN' });
  });
});

function question(type: RecordType, name: string) {
  return { type: 'query' as const, id: 7, flags: 0, questions: [{ type, name }] };
}

function overUdp(port: number, type: RecordType, name: string): Promise<Packet> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    const timer = setTimeout(() => {
      socket.close();
      reject(new Error('no DNS answer over UDP'));
    }, 3000);
    socket.on('message', (message) => {
      clearTimeout(timer);
      socket.close();
      resolve(decode(message));
    });
    socket.send(encode(question(type, name)), port, '127.0.0.1');
  });
}

function overTcp(port: number, type: RecordType, name: string): Promise<Packet> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(streamEncode(question(type, name))));
    let received = Buffer.alloc(0);
    socket.setTimeout(3000, () => socket.destroy(new Error('no DNS answer over TCP')));
    socket.on('error', reject);
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < received.readUInt16BE(0) + 2) return;
      socket.destroy();
      resolve(streamDecode(received));
    });
  });
}
