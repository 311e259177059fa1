#!/usr/bin/env node
// tcp-transfer.ts — how fast plain TCP is between two hosts, as the measure for anything that goes over it.
// usage: tcp-transfer receive ADDRESS PORT, which prints the bits per second from the first byte to the last and ends;
//        tcp-transfer send ADDRESS PORT BYTES

import { connect, createServer } from 'node:net';

const PIECE = Buffer.alloc(64 * 1024, 'weft');
const [role, address, port, bytes] = process.argv.slice(2);

if (role === 'receive') {
  const server = createServer((socket) => {
    let startMs = 0;
    let received = 0;
    socket.on('data', (data) => {
      startMs ||= performance.now();
      received += data.length;
    });
    socket.on('end', () => {
      process.stdout.write(`${Math.round((received * 8 * 1000) / (performance.now() - startMs))}\n`);
      socket.end();
      server.close();
    });
  });
  server.listen(Number(port), address, () => process.stdout.write('ready\n'));
} else {
  const socket = connect(Number(port), address);
  let left = Number(bytes);
  const fill = (): void => {
    while (left > 0) {
      const piece = PIECE.subarray(0, left);
      left -= piece.length;
      if (!socket.write(piece)) return;
    }
    socket.end();
  };
  socket.on('connect', fill).on('drain', fill);
}
