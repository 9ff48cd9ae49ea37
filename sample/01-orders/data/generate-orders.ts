import { pathToFileURL } from 'node:url';
import type { Order, OrderLine } from '../order.js';

/**
 * Makes data/orders.jsonl: `node sample/dist/01-orders/data/generate-orders.js > sample/01-orders/data/orders.jsonl`.
 * The same seed gives the same bytes; a test holds the file to it.
 */
const SEED = 20_260_101;
const COUNT = 2500;
const FIRST_ORDER_AT = Date.UTC(2026, 0, 5, 6);

const FIRST_NAMES =
  'Ada Alan Amina Barbara Carlos Chiara Edsger Elif Emre Frances Grace Hedy Hiro Ines Jan Karen Kofi Lars Leila Linus Lotte Margaret Mateo Mei Nils Noor Olga Pablo Priya Radia Sofia Tim Yuki Zofia'.split(
    ' ',
  );
const LAST_NAMES =
  'Allen Bauer Costa Dijkstra Eriksson Fischer Garcia Hamilton Hopper Ito Jansen Keller Kowalska Lamarr Liskov Lovelace Martin Mensah Moreau Nowak Okafor Perlman Rossi Sato Schmidt Silva Tanaka Turing Visser Weber Wirth Yilmaz'.split(
    ' ',
  );

interface Place {
  readonly country: string;
  readonly currency: string;
  readonly cities: readonly string[];
  readonly streets: readonly string[];
  readonly postcode: (digits: (count: number) => string) => string;
  /** How many of a hundred orders come from here. */
  readonly weight: number;
}

const PLACES: readonly Place[] = [
  {
    country: 'DE',
    currency: 'EUR',
    cities: ['Berlin', 'Hamburg', 'München', 'Köln', 'Leipzig'],
    streets: ['Hauptstraße', 'Gartenweg', 'Lindenallee', 'Am Markt'],
    postcode: (d) => d(5),
    weight: 28,
  },
  {
    country: 'NL',
    currency: 'EUR',
    cities: ['Amsterdam', 'Utrecht', 'Rotterdam', 'Groningen'],
    streets: ['Dorpsstraat', 'Keizersgracht', 'Molenweg'],
    postcode: (d) => `${d(4)} AB`,
    weight: 17,
  },
  {
    country: 'FR',
    currency: 'EUR',
    cities: ['Paris', 'Lyon', 'Nantes', 'Lille'],
    streets: ['rue de la Paix', 'avenue Victor Hugo', 'rue des Écoles'],
    postcode: (d) => d(5),
    weight: 18,
  },
  {
    country: 'IT',
    currency: 'EUR',
    cities: ['Milano', 'Torino', 'Bologna', 'Roma'],
    streets: ['via Roma', 'via Garibaldi', 'corso Italia'],
    postcode: (d) => d(5),
    weight: 12,
  },
  {
    country: 'PL',
    currency: 'PLN',
    cities: ['Warszawa', 'Kraków', 'Gdańsk'],
    streets: ['ul. Polna', 'ul. Leśna', 'ul. Słoneczna'],
    postcode: (d) => `${d(2)}-${d(3)}`,
    weight: 13,
  },
  {
    country: 'SE',
    currency: 'SEK',
    cities: ['Stockholm', 'Göteborg', 'Uppsala'],
    streets: ['Storgatan', 'Kungsgatan', 'Skolgatan'],
    postcode: (d) => `${d(3)} ${d(2)}`,
    weight: 12,
  },
];

const PRODUCTS: readonly Omit<OrderLine, 'quantity'>[] = [
  { sku: 'COF-ETH-250', name: 'Coffee, Ethiopia, 250 g', unitPriceCents: 1190 },
  { sku: 'COF-COL-1000', name: 'Coffee, Colombia, 1 kg', unitPriceCents: 3290 },
  { sku: 'TEA-ASS-100', name: 'Tea, Assam, 100 g', unitPriceCents: 790 },
  { sku: 'MUG-BLUE', name: 'Mug, stoneware, blue', unitPriceCents: 1450 },
  { sku: 'MUG-SAND', name: 'Mug, stoneware, sand', unitPriceCents: 1450 },
  { sku: 'GRIND-HAND', name: 'Hand grinder', unitPriceCents: 8900 },
  { sku: 'FILT-V60-100', name: 'Paper filters, 100 pieces', unitPriceCents: 650 },
  { sku: 'KETTLE-GN', name: 'Gooseneck kettle', unitPriceCents: 6490 },
  { sku: 'SCALE-01', name: 'Scale, 0.1 g', unitPriceCents: 4990 },
  { sku: 'CHOC-70', name: 'Chocolate, 70 %', unitPriceCents: 420 },
  { sku: 'BOOK-BREW', name: 'Book: How to brew', unitPriceCents: 2600 },
  { sku: 'GIFT-BOX', name: 'Gift box', unitPriceCents: 590 },
];

/** mulberry32. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function generateOrders(seed: number = SEED, count: number = COUNT): Order[] {
  const random = seeded(seed);
  const below = (end: number): number => Math.floor(random() * end);
  const pick = <T>(values: readonly T[]): T => values[below(values.length)] as T;
  const digits = (length: number): string => Array.from({ length }, () => below(10)).join('');
  let placedAt = FIRST_ORDER_AT;

  const pickPlace = (): Place => {
    let left = below(100);
    return PLACES.find(({ weight }) => (left -= weight) < 0) as Place;
  };
  const pickLines = (): OrderLine[] => {
    const wanted = 1 + Math.floor(random() ** 2 * 5);
    const products = new Set(Array.from({ length: wanted }, () => pick(PRODUCTS)));
    return [...products].map((product) => ({
      sku: product.sku,
      name: product.name,
      unitPriceCents: product.unitPriceCents,
      quantity: 1 + Math.floor(random() ** 3 * 6),
    }));
  };

  return Array.from({ length: count }, (_, i) => {
    const place = pickPlace();
    const [first, last] = [pick(FIRST_NAMES), pick(LAST_NAMES)];
    // Busy hours come and go; between two orders there are some minutes, rarely more.
    placedAt += Math.floor(-Math.log(1 - random()) * 180_000);
    return {
      id: `ord-${String(i + 1).padStart(6, '0')}`,
      placedAt: new Date(placedAt).toISOString(),
      customer: {
        name: `${first} ${last}`,
        email: `${first}.${last}${below(100)}@example.org`.toLowerCase(),
        country: place.country,
      },
      currency: place.currency,
      lines: pickLines(),
      shipTo: {
        street: `${pick(place.streets)} ${1 + below(150)}`,
        postcode: place.postcode(digits),
        city: pick(place.cities),
        country: place.country,
      },
    };
  });
}

export function toJsonLines(orders: readonly Order[]): string {
  return orders.map((order) => `${JSON.stringify(order)}\n`).join('');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  process.stdout.write(toJsonLines(generateOrders()));
}
