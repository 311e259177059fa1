import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { anyOps, applyOp, checkContent, ModelContent } from './content-model.test-support.js';
import { randomBytes } from './chunks-fixture.test-support.js';
import { SMALL_CONTENT_MAX, SmallContent } from './small-content.js';

test('small content does what a plain buffer does', () => {
  fc.assert(
    fc.property(fc.nat(SMALL_CONTENT_MAX), anyOps(SMALL_CONTENT_MAX), (length, ops) => {
      const model = new ModelContent(randomBytes(length, 1), SMALL_CONTENT_MAX);
      let content = new SmallContent(randomBytes(length, 1));
      for (const op of ops) {
        if (model.outgrows(op)) continue;
        if (op.op === 'reopen') content = new SmallContent(Buffer.from(content.bytes()), content.holes());
        assert.equal(applyOp(content, op), model.apply(op), JSON.stringify(op));
        checkContent(content, model.bytes);
        assert.deepEqual(content.bytes(), model.bytes);
      }
    }),
    { numRuns: 300 },
  );
});

test('blocks are those that were written', () => {
  const content = new SmallContent();
  content.truncate(60_000);
  assert.equal(content.blocks(), 0);
  assert.equal(content.seekHole(0), 0);
  content.write(4095, Buffer.from('ab'));
  assert.equal(content.blocks(), 16);
  assert.equal(content.seekHole(0), 8192);
  assert.throws(() => content.seekData(8192), { code: 'ENXIO' });
  content.fallocate(3, 0, 5000);
  assert.equal(content.blocks(), 8);
  content.fallocate(0, 0, 60_000);
  assert.equal(content.blocks(), 120);
  content.truncate(1);
  assert.equal(content.blocks(), 8);
});

test('what would outgrow it is refused as our bug', () => {
  const content = new SmallContent();
  assert.throws(() => content.write(SMALL_CONTENT_MAX, Buffer.of(1)), RangeError);
  assert.throws(() => content.truncate(SMALL_CONTENT_MAX + 1), RangeError);
  assert.throws(() => new SmallContent(Buffer.alloc(SMALL_CONTENT_MAX + 1)), RangeError);
  content.write(SMALL_CONTENT_MAX - 1, Buffer.of(1));
  assert.equal(content.size, SMALL_CONTENT_MAX);
});
