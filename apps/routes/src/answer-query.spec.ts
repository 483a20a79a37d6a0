import {
  AUTHENTIC_DATA,
  DNSSEC_OK,
  RECURSION_DESIRED,
  decode,
  encode,
  type Answer,
  type OptAnswer,
  type Packet,
  type RecordType,
} from 'dns-packet';
import { describe, expect, it } from 'vitest';

import { answerQuery } from './answer-query.ts';
import { ZoneTable } from './zone-table.ts';

const zone = new ZoneTable('localhost', { v4: '127.0.0.1', v6: '::1' }, 5);
zone.replace(['echo-name.localhost', 'cart.shop.localhost']);

function query(name: string, type: RecordType, more: Packet = {}): Buffer {
  return encode({ type: 'query', id: 4711, flags: RECURSION_DESIRED, questions: [{ name, type }], ...more });
}

function ask(message: Buffer, from = zone, transport: 'udp' | 'tcp' = 'udp') {
  const bytes = answerQuery(from, message, transport);
  if (!bytes) throw new Error('no answer');
  const packet = decode(bytes);
  const flags = bytes.readUInt16BE(2);
  return { bytes, packet, rcode: flags & 15, flags };
}

const data = (records: Answer[] | undefined) =>
  (records ?? []).map(
    (record) => `${record.name} ${record.type} ${'data' in record ? String(record.data) : ''}`,
  );

const opt = (fields: Partial<OptAnswer> = {}): Answer => ({
  type: 'OPT',
  name: '.',
  udpPayloadSize: 4096,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
  ...fields,
});

describe('answerQuery', () => {
  it('answers A and AAAA of a route, with authority', () => {
    const a = ask(query('echo-name.localhost', 'A'));
    expect(a.rcode).toBe(0);
    expect(a.packet.id).toBe(4711);
    expect(a.packet.flag_aa).toBe(true);
    expect(data(a.packet.answers)).toEqual(['echo-name.localhost A 127.0.0.1']);
    expect(data(ask(query('cart.shop.localhost', 'AAAA')).packet.answers)).toEqual([
      'cart.shop.localhost AAAA ::1',
    ]);
  });

  it('echoes RD, and never offers recursion or claims DNSSEC', () => {
    const wanted = ask(
      query('echo-name.localhost', 'A', { flags: RECURSION_DESIRED | AUTHENTIC_DATA }),
    ).packet;
    expect([wanted.flag_rd, wanted.flag_ra, wanted.flag_ad]).toEqual([true, false, false]);
    expect(ask(query('echo-name.localhost', 'A', { flags: 0 })).packet.flag_rd).toBe(false);
  });

  it('finds names in any case and repeats the question and the owner as they were asked', () => {
    const { packet, bytes } = ask(query('EcHo-NaMe.lOcAlHoSt', 'A'));
    expect(packet.questions?.[0]?.name).toBe('EcHo-NaMe.lOcAlHoSt');
    expect(data(packet.answers)).toEqual(['EcHo-NaMe.lOcAlHoSt A 127.0.0.1']);
    expect(bytes.readUInt16BE(4)).toBe(1);
  });

  it('says NXDOMAIN with the SOA for a name that is not there, and for one beneath a host', () => {
    for (const name of ['nobody.localhost', 'x.echo-name.localhost']) {
      const { packet, rcode } = ask(query(name, 'A'));
      expect(rcode).toBe(3);
      expect(packet.flag_aa).toBe(true);
      expect(packet.answers).toEqual([]);
      const soa = packet.authorities?.[0];
      expect(soa).toMatchObject({ type: 'SOA', name: 'localhost', ttl: 5, data: { minimum: 5 } });
    }
  });

  it('says NODATA with the SOA for a type that is not there', () => {
    for (const [name, type] of [
      ['echo-name.localhost', 'MX'],
      ['echo-name.localhost', 'NS'],
      ['echo-name.localhost', 'SOA'],
      ['localhost', 'TXT'],
    ] as const) {
      const { packet, rcode } = ask(query(name, type));
      expect([rcode, packet.flag_aa, packet.answers?.length]).toEqual([0, true, 0]);
      expect(packet.authorities?.[0]?.type).toBe('SOA');
    }
  });

  it('says NODATA, not NXDOMAIN, for a project that has functions', () => {
    const { packet, rcode } = ask(query('shop.localhost', 'A'));
    expect([rcode, packet.answers?.length, packet.authorities?.[0]?.type]).toEqual([0, 0, 'SOA']);
    expect(ask(query('shop.localhost', 'ANY' as RecordType)).rcode).toBe(0);
  });

  it('has SOA, NS with its addresses, and A at the apex', () => {
    const soa = ask(query('localhost', 'SOA')).packet.answers?.[0];
    expect(soa).toMatchObject({
      type: 'SOA',
      data: { mname: 'ns.localhost', rname: 'hostmaster.localhost', serial: zone.serial },
    });
    const ns = ask(query('localhost', 'NS')).packet;
    expect(data(ns.answers)).toEqual(['localhost NS ns.localhost']);
    expect(data(ns.additionals)).toEqual(['ns.localhost A 127.0.0.1', 'ns.localhost AAAA ::1']);
    expect(data(ask(query('localhost', 'A')).packet.answers)).toEqual(['localhost A 127.0.0.1']);
    expect(data(ask(query('ns.localhost', 'A')).packet.answers)).toEqual(['ns.localhost A 127.0.0.1']);
  });

  it('has no AAAA where no IPv6 address is configured', () => {
    const only4 = new ZoneTable('localhost', { v4: '127.0.0.1', v6: null }, 5);
    const { packet, rcode } = ask(query('localhost', 'AAAA'), only4);
    expect([rcode, packet.answers?.length, packet.authorities?.[0]?.type]).toEqual([0, 0, 'SOA']);
  });

  it('answers ANY with the least there is (RFC 8482)', () => {
    const any = encode({ id: 1, questions: [{ name: 'echo-name.localhost', type: 'A' }] });
    any.writeUInt16BE(255, any.length - 4);
    const { packet } = ask(any);
    expect(packet.answers).toMatchObject([{ type: 'HINFO', data: { cpu: 'RFC8482' } }]);
  });

  it('refuses other zones, other classes and zone transfers', () => {
    for (const name of ['example.com', 'localhost.example.com', 'notlocalhost']) {
      const { rcode, packet } = ask(query(name, 'A'));
      expect([name, rcode, packet.flag_aa]).toEqual([name, 5, false]);
    }
    expect(ask(query('', 'NS')).rcode).toBe(5);
    const chaos = encode({ id: 1, questions: [{ name: 'localhost', type: 'TXT', class: 'CH' }] });
    expect(ask(chaos).rcode).toBe(5);
    expect(ask(query('localhost', 'AXFR'), zone, 'tcp').rcode).toBe(5);
    const soa: Answer = {
      type: 'SOA',
      name: 'localhost',
      data: { mname: 'ns.localhost', rname: 'x.localhost' },
    };
    expect(ask(query('localhost', 'IXFR', { authorities: [soa] })).rcode).toBe(5);
  });

  it('does not take a dot inside a label for the end of it', () => {
    const message = Buffer.concat([
      query('x', 'A').subarray(0, 12),
      Buffer.from([19]),
      Buffer.from('echo-name.localhost'),
      Buffer.from([0, 0, 1, 0, 1]),
    ]);
    expect(ask(message).rcode).toBe(5);
  });

  it('repeats a question that is no text, byte for byte', () => {
    const question = Buffer.concat([
      Buffer.from([3, 0xff, 0x00, 0xc3, 9]),
      Buffer.from('localhost'),
      Buffer.from([0, 0, 1, 0, 1]),
    ]);
    const { bytes, rcode } = ask(Buffer.concat([query('x', 'A').subarray(0, 12), question]));
    expect(rcode).toBe(3);
    expect(bytes.subarray(12, 12 + question.length)).toEqual(question);
  });

  it('says NOTIMP to what is no plain query', () => {
    for (const opcode of [1, 2, 4, 5, 15]) {
      const { rcode, flags } = ask(query('localhost', 'A', { flags: opcode << 11 }));
      expect([rcode, (flags >> 11) & 15]).toEqual([4, opcode]);
    }
  });

  it('says FORMERR to several questions, to none, and to what cannot be read', () => {
    const two = { name: 'localhost', type: 'A' } as const;
    expect(ask(encode({ id: 1, questions: [two, two] })).rcode).toBe(1);
    expect(ask(encode({ id: 1, questions: [] })).rcode).toBe(1);
    const whole = query('echo-name.localhost', 'A');
    for (let cut = 12; cut < whole.length; cut += 1) expect(ask(whole.subarray(0, cut)).rcode).toBe(1);
    const pointer = Buffer.concat([whole.subarray(0, 12), Buffer.from([0xc0, 0x0c, 0, 1, 0, 1])]);
    expect(ask(pointer).rcode).toBe(1);
    expect(ask(query('localhost', 'A', { additionals: [opt(), opt()] })).rcode).toBe(1);
    const promised = Buffer.from(whole);
    promised.writeUInt16BE(1, 10);
    expect(ask(promised).rcode).toBe(1);
  });

  it('is silent to what is shorter than a header and to answers', () => {
    expect(answerQuery(zone, Buffer.alloc(11), 'udp')).toBeNull();
    expect(answerQuery(zone, encode({ type: 'response', id: 1 }), 'udp')).toBeNull();
  });

  it('survives any bytes', () => {
    let seed = 7;
    const random = () => (seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff);
    const whole = query('echo-name.localhost', 'A', { additionals: [opt()] });
    for (let round = 0; round < 20_000; round += 1) {
      const message = Buffer.from(whole);
      for (let changes = 0; changes < 4; changes += 1) message[random() % message.length] = random() >> 8;
      const answer = answerQuery(zone, message, 'udp');
      if (answer) expect(() => decode(answer)).not.toThrow();
    }
  });

  it('speaks EDNS to who speaks it, and only then', () => {
    expect(ask(query('localhost', 'A')).packet.additionals).toEqual([]);
    const { packet } = ask(query('localhost', 'A', { additionals: [opt({ flags: DNSSEC_OK })] }));
    expect(packet.additionals).toMatchObject([
      { type: 'OPT', udpPayloadSize: 1232, ednsVersion: 0, extendedRcode: 0, flags: DNSSEC_OK, options: [] },
    ]);
  });

  it('says BADVERS to a later EDNS', () => {
    const { packet, rcode } = ask(query('localhost', 'A', { additionals: [opt({ ednsVersion: 1 })] }));
    expect(rcode).toBe(0);
    expect(packet.answers).toEqual([]);
    expect(packet.additionals).toMatchObject([{ type: 'OPT', extendedRcode: 1, ednsVersion: 0 }]);
  });

  it('says on UDP that an answer did not fit, and gives all of it on TCP', () => {
    const long = Array.from({ length: 3 }, () => 'd'.repeat(60)).join('.');
    const wide = new ZoneTable(long, { v4: '127.0.0.1', v6: '::1' }, 5);
    const cut = ask(query(`nobody.${long}`, 'A'), wide);
    expect(cut.packet.flag_tc).toBe(true);
    expect(cut.rcode).toBe(3);
    expect(cut.bytes.length).toBeLessThanOrEqual(512);
    expect(cut.packet.questions).toHaveLength(1);
    const large = ask(query(`nobody.${long}`, 'A', { additionals: [opt()] }), wide);
    expect([large.packet.flag_tc, large.packet.authorities?.length]).toEqual([false, 1]);
    const stream = ask(query(`nobody.${long}`, 'A'), wide, 'tcp');
    expect([stream.packet.flag_tc, stream.packet.authorities?.length]).toEqual([false, 1]);
  });
});
