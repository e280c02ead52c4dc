// A service of gRPC with one method of each kind, served and called by @grpc/grpc-js. Messages are bytes as they are.

import {
  Client,
  credentials,
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { whenDone } from './lifetime.ts';

const bytes = { serialize: (value: Buffer): Buffer => value, deserialize: (value: Buffer): Buffer => value };

function method(
  name: string,
  requestStream: boolean,
  responseStream: boolean,
): MethodDefinition<Buffer, Buffer> {
  return {
    path: `/test.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: bytes.serialize,
    requestDeserialize: bytes.deserialize,
    responseSerialize: bytes.serialize,
    responseDeserialize: bytes.deserialize,
  };
}

export const SERVICE = {
  Unary: method('Unary', false, false),
  Down: method('Down', false, true),
  Up: method('Up', true, false),
  Both: method('Both', true, true),
  Fail: method('Fail', false, false),
  Hang: method('Hang', false, false),
} as const satisfies ServiceDefinition;

export interface GrpcServer {
  readonly url: string;
  readonly server: Server;
  /** Calls that were cancelled so far. */
  cancelled(): number;
  /** Calls of Hang so far. */
  hanging(): number;
}

export async function grpcServer(name = 'a'): Promise<GrpcServer> {
  const server = new Server({
    'grpc.max_receive_message_length': 32 << 20,
    'grpc.max_send_message_length': 32 << 20,
  });
  let cancelled = 0;
  let hanging = 0;
  const answerUnary: handleUnaryCall<Buffer, Buffer> = (call, answer) => {
    const trailer = new Metadata();
    trailer.set('x-server', name);
    call.sendMetadata(call.metadata);
    answer(null, call.request, trailer);
  };
  const answerDown: handleServerStreamingCall<Buffer, Buffer> = (call) => {
    const count = Number(call.request.toString());
    for (let index = 0; index < count; index += 1) call.write(Buffer.from(`${index}`));
    call.end();
  };
  const answerUp: handleClientStreamingCall<Buffer, Buffer> = (call, answer) => {
    let sum = 0;
    call.on('data', (message: Buffer) => {
      sum += message.length;
    });
    call.on('end', () => answer(null, Buffer.from(String(sum))));
  };
  const answerBoth: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
    call.on('data', (message: Buffer) => call.write(message));
    call.on('end', () => call.end());
  };
  const fail: handleUnaryCall<Buffer, Buffer> = (_, answer) =>
    answer({ code: status.FAILED_PRECONDITION, details: 'not today: ünlucky' });
  const hang: handleUnaryCall<Buffer, Buffer> = (call) => {
    hanging += 1;
    call.on('cancelled', () => {
      cancelled += 1;
    });
  };
  const service: UntypedServiceImplementation = {
    Unary: answerUnary,
    Down: answerDown,
    Up: answerUp,
    Both: answerBoth,
    Fail: fail,
    Hang: hang,
  };
  server.addService(SERVICE, service);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  whenDone(() => server.forceShutdown());
  return { url: `http://127.0.0.1:${port}`, server, cancelled: () => cancelled, hanging: () => hanging };
}

export function grpcClient(port: number): Client {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': 32 << 20,
    'grpc.max_send_message_length': 32 << 20,
    // a channel of its own
    'grpc.use_local_subchannel_pool': 1,
  });
  whenDone(() => client.close());
  return client;
}

/** A call without streams, as a promise. */
export function unary(
  client: Client,
  name: 'Unary' | 'Fail' | 'Hang',
  message: Buffer,
  { deadline, metadata = new Metadata() }: { deadline?: number; metadata?: Metadata } = {},
): Promise<Buffer> {
  const { path } = SERVICE[name];
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      bytes.serialize,
      bytes.deserialize,
      message,
      metadata,
      deadline === undefined ? {} : { deadline },
      (error, value) => (error === null && value !== undefined ? resolve(value) : reject(error)),
    );
  });
}

export { bytes };
