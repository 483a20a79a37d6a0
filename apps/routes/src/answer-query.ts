import {
  AUTHORITATIVE_ANSWER,
  DNSSEC_OK,
  decode,
  encode,
  RECURSION_DESIRED,
  TRUNCATED_RESPONSE,
} from 'dns-packet';
import type { Answer, OptAnswer } from 'dns-packet';

import { readQuestion, type RawQuestion } from './read-question.ts';
import type { ZoneTable } from './zone-table.ts';

const rcode = { noError: 0, formatError: 1, nameError: 3, notImplemented: 4, refused: 5, badVersion: 16 };
const type = { a: 1, ns: 2, soa: 6, aaaa: 28, ixfr: 251, axfr: 252, any: 255 };
const classInternet = 1;
const headerBytes = 12;
const questionCountAt = 4;
/** Without EDNS a datagram has at most 512 bytes; with it, no more than what passes everywhere unfragmented. */
const plainDatagram = 512;
const largestDatagram = 1232;

interface Reply {
  rcode: number;
  authoritative?: boolean;
  answers?: Answer[];
  authorities?: Answer[];
  additionals?: Answer[];
}

/** The answer to one DNS message, or null where silence is right: what is no query must not be answered, or two servers talk forever. */
export function answerQuery(zone: ZoneTable, query: Buffer, transport: 'udp' | 'tcp'): Buffer | null {
  if (query.length < headerBytes) return null;
  const flags = query.readUInt16BE(2);
  const isResponse = flags >> 15 === 1;
  if (isResponse) return null;
  const write = (reply: Reply, question: RawQuestion | null, edns: OptAnswer | null) =>
    encodeReply(query, reply, question, edns, transport);

  const opcode = (flags >> 11) & 15;
  if (opcode !== 0) return write({ rcode: rcode.notImplemented }, null, null);
  const question = readQuestion(query);
  const edns = readEdns(query);
  if (!hasQueryCounts(query) || !question || edns === 'malformed') {
    return write({ rcode: rcode.formatError }, null, null);
  }
  if (edns && edns.ednsVersion > 0) return write({ rcode: rcode.badVersion }, question, edns);
  return write(lookUp(zone, question), question, edns);
}

function lookUp(zone: ZoneTable, question: RawQuestion): Reply {
  const place = zone.placeOf(question.key);
  if (place === 'outside' || question.class !== classInternet) return { rcode: rcode.refused };
  if (question.type === type.axfr || question.type === type.ixfr) return { rcode: rcode.refused };

  const authoritative = true;
  if (place === 'absent')
    return { rcode: rcode.nameError, authoritative, authorities: [startOfAuthority(zone)] };
  const answers = recordsAt(zone, place, question);
  if (answers.length === 0)
    return { rcode: rcode.noError, authoritative, authorities: [startOfAuthority(zone)] };
  const additionals = question.type === type.ns ? addresses(zone, zone.nameserver) : [];
  return { rcode: rcode.noError, authoritative, answers, additionals };
}

function recordsAt(zone: ZoneTable, place: 'apex' | 'address' | 'empty', question: RawQuestion): Answer[] {
  if (place === 'empty') return [];
  const { name } = question;
  switch (question.type) {
    case type.a:
      return addresses(zone, name).filter((record) => record.type === 'A');
    case type.aaaa:
      return addresses(zone, name).filter((record) => record.type === 'AAAA');
    case type.soa:
      return place === 'apex' ? [{ ...startOfAuthority(zone), name }] : [];
    case type.ns:
      return place === 'apex' ? [{ type: 'NS', name, ttl: zone.ttl, data: zone.nameserver }] : [];
    case type.any:
      // RFC 8482: the least that says "ask for a type". Answering with everything invites amplification.
      return [{ type: 'HINFO', name, ttl: zone.ttl, data: { cpu: 'RFC8482', os: '' } }];
    default:
      return [];
  }
}

function addresses(zone: ZoneTable, name: string): Answer[] {
  const { v4, v6 } = zone.address;
  return [
    { type: 'A', name, ttl: zone.ttl, data: v4 },
    ...(v6 ? [{ type: 'AAAA', name, ttl: zone.ttl, data: v6 } as const] : []),
  ];
}

/** Its own ttl and its `minimum` are how long others may believe that a name is not there (RFC 2308). */
function startOfAuthority(zone: ZoneTable): Answer {
  return {
    type: 'SOA',
    name: zone.origin,
    ttl: zone.ttl,
    data: {
      mname: zone.nameserver,
      rname: `hostmaster.${zone.origin}`,
      serial: zone.serial,
      refresh: 3600,
      retry: 600,
      expire: 86_400,
      minimum: zone.ttl,
    },
  };
}

/** A question and, beside it, at most an OPT and a signature (IXFR adds an SOA). More is only work for the decoder. */
function hasQueryCounts(query: Buffer): boolean {
  const [questions, answers, authorities, additionals] = [0, 2, 4, 6].map((at) =>
    query.readUInt16BE(questionCountAt + at),
  ) as [number, number, number, number];
  return questions === 1 && answers === 0 && authorities <= 1 && additionals <= 2;
}

function readEdns(query: Buffer): OptAnswer | null | 'malformed' {
  if (!hasQueryCounts(query)) return 'malformed';
  try {
    const options = (decode(query).additionals ?? []).filter((record) => record.type === 'OPT');
    return options.length > 1 ? 'malformed' : (options[0] ?? null);
  } catch {
    return 'malformed';
  }
}

function encodeReply(
  query: Buffer,
  reply: Reply,
  question: RawQuestion | null,
  edns: OptAnswer | null,
  transport: 'udp' | 'tcp',
): Buffer {
  const received = query.readUInt16BE(2);
  const keptFlags = (received & (15 << 11)) | (received & RECURSION_DESIRED);
  const flags = keptFlags | (reply.authoritative ? AUTHORITATIVE_ANSWER : 0) | (reply.rcode & 15);
  const opt: Answer[] = edns
    ? [
        {
          type: 'OPT',
          name: '.',
          udpPayloadSize: largestDatagram,
          extendedRcode: reply.rcode >> 4,
          ednsVersion: 0,
          flags: edns.flags & DNSSEC_OK,
          flag_do: (edns.flags & DNSSEC_OK) !== 0,
          options: [],
        },
      ]
    : [];
  const build = (sections: Reply, moreFlags = 0) =>
    withQuestion(
      encode({
        type: 'response',
        id: query.readUInt16BE(0),
        flags: flags | moreFlags,
        answers: sections.answers ?? [],
        authorities: sections.authorities ?? [],
        additionals: [...(sections.additionals ?? []), ...opt],
      }),
      question,
    );

  const whole = build(reply);
  const limit = Math.min(Math.max(edns?.udpPayloadSize ?? plainDatagram, plainDatagram), largestDatagram);
  if (transport === 'tcp' || whole.length <= limit) return whole;
  return build({ rcode: reply.rcode }, TRUNCATED_RESPONSE);
}

/** Puts the question back as it was asked. Nothing that dns-packet encodes points at an offset, so it may be slid in. */
function withQuestion(message: Buffer, question: RawQuestion | null): Buffer {
  if (!question) return message;
  const joined = Buffer.concat([
    message.subarray(0, headerBytes),
    question.bytes,
    message.subarray(headerBytes),
  ]);
  joined.writeUInt16BE(1, questionCountAt);
  return joined;
}
