import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';

const DIRECTORY = 'docs/decisions';
const records = readdirSync(DIRECTORY)
  .filter((name) => name !== 'README.md')
  .toSorted();

describe('the decision records', () => {
  it('have a number each, in their names and their headings', () => {
    const numbers = records.map((name) => Number(name.slice(0, 4)));
    expect(new Set(numbers).size).toBe(records.length);
    for (const [place, name] of records.entries()) {
      const [heading = ''] = readFileSync(`${DIRECTORY}/${name}`, 'utf8').split('\n');
      expect([name, heading]).toEqual([
        name,
        expect.stringMatching(new RegExp(`^# ${numbers[place]}\\. \\S`)),
      ]);
    }
  });

  it('are all in the list of them, in their order, by their headings', () => {
    const rows = records.map((name) => {
      const [heading = ''] = readFileSync(`${DIRECTORY}/${name}`, 'utf8').split('\n');
      const [number, ...title] = heading.slice('# '.length).split('. ');
      return `${number} [${title.join('. ')}](${name})`;
    });
    const list = [
      ...readFileSync(`${DIRECTORY}/README.md`, 'utf8').matchAll(/^\| (\d+) +\| (\[.*\)) +\|$/gm),
    ];
    expect(list.map(([, number, link]) => `${number} ${link}`)).toEqual(rows);
  });
});
