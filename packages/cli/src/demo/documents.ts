// The knowledge of the demonstration's assistant: a fictional shop's handbook, written for this purpose.

export interface Document {
  id: string;
  title: string;
  text: string;
}

export const DOCUMENTS: readonly Document[] = [
  {
    id: 'returns',
    title: 'Returns and refunds',
    text: 'Customers may return unused articles within 30 days of delivery. The refund is paid to the original payment method within five working days after the parcel has arrived in our warehouse. Return labels are free inside the European Union. Outside the European Union the customer pays the return shipping. Damaged articles are replaced without asking for the return.',
  },
  {
    id: 'shipping',
    title: 'Shipping times',
    text: 'Orders placed before 14:00 leave our warehouse on the same day. Standard shipping takes two to four working days. Express shipping arrives on the next working day and costs 9.90 euros. Shipping is free for orders above 60 euros. A tracking number is sent by e-mail as soon as the parcel has left.',
  },
  {
    id: 'warranty',
    title: 'Warranty',
    text: 'Every lamp carries a warranty of five years against defects of material and workmanship. The warranty covers the electronics and the housing, but not the light source. To claim the warranty, send the order number and a photograph of the defect. Repairs take about ten working days.',
  },
  {
    id: 'payment',
    title: 'Payment',
    text: 'We accept cards, bank transfer and invoices for registered companies. Invoices are due within 14 days. A payment that fails is tried again after 24 hours, and the order is kept for three days. Gift cards can be combined with any other payment method.',
  },
  {
    id: 'account',
    title: 'Accounts and privacy',
    text: 'A customer can delete the account at any time in the settings. Deleting the account removes addresses and saved cards at once, while invoices are kept for ten years as the law requires. Passwords can be reset with a link that is valid for one hour. We never ask for a password by e-mail or telephone.',
  },
  {
    id: 'sustainability',
    title: 'Materials and recycling',
    text: 'All housings are made of recycled aluminium. Old lamps can be sent back free of charge for recycling. The packaging is made of cardboard without plastic. Light sources must be recycled separately because they contain electronics.',
  },
];

export const QUESTIONS: readonly string[] = [
  'How long do I have to return an unused lamp, and who pays the return shipping?',
  'When will my order arrive if I choose express shipping today?',
  'Does the warranty cover the light source of my lamp?',
  'My card payment failed. What happens to my order now?',
  'Can I delete my account and what happens to my invoices?',
  'Are your housings made of recycled material?',
  'How quickly is the refund paid after the parcel has arrived?',
  'Is shipping free for an order of 75 euros?',
  'How do I claim the warranty for defective electronics?',
  'Can I combine a gift card with another payment method?',
  'How long is the password reset link valid?',
  'What do I do with an old lamp that I want to recycle?',
];

export const RESEARCH_TASKS: readonly string[] = [
  'Compare the energy use of our desk lamps with the new efficiency labels',
  'Which suppliers of recycled aluminium can deliver within four weeks?',
  'Summarise what customers said about the packaging last month',
  'Find the cheapest carrier for parcels to Portugal under two kilograms',
];

/** Repeated at the head of each prompt of the pipeline: long enough for a provider's prompt cache to pay. */
export const PIPELINE_INSTRUCTIONS = [
  'You write product descriptions for a shop of lamps. Keep to the facts of the data sheet.',
  ...DOCUMENTS.map((document) => `${document.title}. ${document.text}`),
  ...DOCUMENTS.map(
    (document) => `When a text touches "${document.title}", quote the handbook exactly: ${document.text}`,
  ),
].join('\n\n');
