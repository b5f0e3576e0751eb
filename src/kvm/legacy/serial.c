/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 16550A, see serial.h. Register names and bits are those of the PC16550D data sheet, which
 * <linux/serial_reg.h> lists. There is no baud rate: a byte is on the wire as soon as it is
 * written.
 */
#include "kvm/legacy/serial.h"

#include <linux/serial_reg.h>
#include <string.h>

#include "base/util.h"

#define LSR_IDLE (UART_LSR_THRE | UART_LSR_TEMT)
/* What a present and willing terminal shows. */
#define MSR_READY  (UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS)
#define LSR_ERRORS (UART_LSR_OE | UART_LSR_PE | UART_LSR_FE | UART_LSR_BI)

/* How many received bytes make an interrupt, by the upper two bits of FCR. */
static const uint8_t rx_triggers[] = {1, 4, 8, 14};

static bool fifo_on(const struct serial *s)
{
    return s->fcr & UART_FCR_ENABLE_FIFO;
}

static unsigned fifo_size(const struct serial *s)
{
    return fifo_on(s) ? SERIAL_FIFO : 1;
}

/* The line status register as it is now. */
static uint8_t line_status(const struct serial *s)
{
    uint8_t lsr = s->tx_count ? 0 : LSR_IDLE;

    if (s->rx_count)
        lsr |= UART_LSR_DR | s->rx[s->rx_head].status;
    if (s->overrun)
        lsr |= UART_LSR_OE;
    return lsr;
}

/* The most urgent interrupt that is pending and enabled, as IIR shows it. */
static uint8_t interrupt_id(const struct serial *s)
{
    if ((s->ier & UART_IER_RLSI) && (line_status(s) & LSR_ERRORS))
        return UART_IIR_RLSI;
    if ((s->ier & UART_IER_RDI) && s->rx_count) {
        bool full = !fifo_on(s) || s->rx_count >= rx_triggers[s->fcr >> 6];
        return full ? UART_IIR_RDI : UART_IIR_RX_TIMEOUT;
    }
    if ((s->ier & UART_IER_THRI) && s->thr_empty_pending)
        return UART_IIR_THRI;
    return UART_IIR_NO_INT;
}

static void update_irq(struct serial *s)
{
    irq_line_set(&s->irq, interrupt_id(s) != UART_IIR_NO_INT);
}

/*
 * Does the guest take input? The line heeds RTS, as with hardware flow control: a driver raises it
 * when the port is opened, after it has cleared what was in the FIFO, so nothing typed ahead of a
 * booting guest is lost. In loopback the wire is cut.
 */
static bool listens(const struct serial *s)
{
    return (s->mcr & (UART_MCR_RTS | UART_MCR_LOOP)) == UART_MCR_RTS;
}

/* One more byte for the guest. False: the FIFO is full. */
static bool receive(struct serial *s, uint8_t byte, uint8_t status)
{
    if (s->rx_count >= fifo_size(s))
        return false;
    s->rx[(s->rx_head + s->rx_count++) % SERIAL_FIFO] = (struct serial_rx){byte, status};
    return true;
}

static void transmit(struct serial *s, uint8_t byte)
{
    if (s->mcr & UART_MCR_LOOP) {
        if (!receive(s, byte, 0))
            s->overrun = true;
        s->thr_empty_pending = true;
    } else if (s->tx_count == 0 && s->line->put(s->line_arg, &byte, 1) == 1) {
        s->thr_empty_pending = true;
    } else if (s->tx_count < SERIAL_FIFO) {
        s->thr_empty_pending = false;
        s->tx[s->tx_count++] = byte;
    } /* else the guest wrote without looking at THRE: lost, as on a real wire */
}

/* Whoever was refused may try again. */
static void room_again(struct serial *s)
{
    if (!s->refused)
        return;
    s->refused = false;
    s->line->input_ready(s->line_arg);
}

static uint8_t take_received(struct serial *s)
{
    uint8_t byte = s->rx[s->rx_head].byte;

    if (!s->rx_count)
        return 0;
    s->rx_head = (s->rx_head + 1) % SERIAL_FIFO;
    if (--s->rx_count == 0)
        room_again(s);
    return byte;
}

/* Modem status; in loopback the modem controls come back as status, crossed (data sheet 8.6.6). */
static uint8_t modem_status(const struct serial *s)
{
    if (!(s->mcr & UART_MCR_LOOP))
        return MSR_READY;
    return (s->mcr & UART_MCR_RTS ? UART_MSR_CTS : 0) | (s->mcr & UART_MCR_DTR ? UART_MSR_DSR : 0) |
           (s->mcr & UART_MCR_OUT1 ? UART_MSR_RI : 0) | (s->mcr & UART_MCR_OUT2 ? UART_MSR_DCD : 0);
}

static uint8_t read_iir(struct serial *s)
{
    uint8_t id = interrupt_id(s);

    if (id == UART_IIR_THRI)
        s->thr_empty_pending = false;
    return id | (fifo_on(s) ? 0xc0 : 0);
}

static uint8_t read_lsr(struct serial *s)
{
    uint8_t lsr = line_status(s);

    s->overrun = false;
    if (s->rx_count)
        s->rx[s->rx_head].status = 0;
    return lsr;
}

static uint64_t serial_read(void *dev, uint64_t offset, unsigned size)
{
    struct serial *s = dev;
    bool divisor = s->lcr & UART_LCR_DLAB;
    uint8_t value = 0xff;

    (void)size;
    pthread_mutex_lock(&s->lock);
    switch (offset) {
    case UART_RX:
        value = divisor ? s->divisor[0] : take_received(s);
        break;
    case UART_IER:
        value = divisor ? s->divisor[1] : s->ier;
        break;
    case UART_IIR:
        value = read_iir(s);
        break;
    case UART_LCR:
        value = s->lcr;
        break;
    case UART_MCR:
        value = s->mcr;
        break;
    case UART_LSR:
        value = read_lsr(s);
        break;
    case UART_MSR:
        value = modem_status(s);
        break;
    case UART_SCR:
        value = s->scratch;
        break;
    }
    update_irq(s);
    pthread_mutex_unlock(&s->lock);
    return value;
}

static void write_ier(struct serial *s, uint8_t value)
{
    /* Enabling it while the register is empty makes the interrupt pending anew. */
    if ((value & ~s->ier & UART_IER_THRI) && !s->tx_count)
        s->thr_empty_pending = true;
    s->ier = value & 0x0f;
}

static void write_fcr(struct serial *s, uint8_t value)
{
    bool toggled = (value ^ s->fcr) & UART_FCR_ENABLE_FIFO;

    if (toggled || (value & UART_FCR_CLEAR_RCVR)) {
        s->rx_count = 0;
        s->overrun = false;
        room_again(s);
    }
    if (toggled || (value & UART_FCR_CLEAR_XMIT)) {
        if (s->tx_count)
            s->thr_empty_pending = true;
        s->tx_count = 0;
    }
    s->fcr = value & (UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_MASK);
}

static void serial_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct serial *s = dev;
    uint8_t byte = (uint8_t)value;
    bool divisor = s->lcr & UART_LCR_DLAB;

    (void)size;
    pthread_mutex_lock(&s->lock);
    switch (offset) {
    case UART_TX:
        if (divisor)
            s->divisor[0] = byte;
        else
            transmit(s, byte);
        break;
    case UART_IER:
        if (divisor)
            s->divisor[1] = byte;
        else
            write_ier(s, byte);
        break;
    case UART_FCR:
        write_fcr(s, byte);
        break;
    case UART_LCR:
        s->lcr = byte;
        break;
    case UART_MCR:
        s->mcr = byte & 0x1f;
        if (listens(s))
            room_again(s);
        break;
    case UART_SCR:
        s->scratch = byte;
        break;
    }
    update_irq(s);
    pthread_mutex_unlock(&s->lock);
}

const struct bus_ops serial_ops = {
    .name = "serial port",
    .width = 1,
    .read = serial_read,
    .write = serial_write,
};

void serial_init(struct serial *s, struct irq_line irq, const struct serial_line *line, void *arg)
{
    *s = (struct serial){.irq = irq, .line = line, .line_arg = arg, .divisor = {12, 0}};
    pthread_mutex_init(&s->lock, NULL);
}

size_t serial_input(struct serial *s, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    size_t n = 0;

    pthread_mutex_lock(&s->lock);
    while (listens(s) && n < len && receive(s, bytes[n], 0))
        n++;
    s->refused = n < len;
    update_irq(s);
    pthread_mutex_unlock(&s->lock);
    return n;
}

void serial_break(struct serial *s)
{
    pthread_mutex_lock(&s->lock);
    if (!receive(s, 0, UART_LSR_BI))
        s->overrun = true;
    update_irq(s);
    pthread_mutex_unlock(&s->lock);
}

void serial_output_ready(struct serial *s)
{
    pthread_mutex_lock(&s->lock);
    if (s->tx_count) {
        size_t n = s->line->put(s->line_arg, s->tx, s->tx_count);
        s->tx_count -= (unsigned)n;
        memmove(s->tx, s->tx + n, s->tx_count);
        if (!s->tx_count)
            s->thr_empty_pending = true;
    }
    update_irq(s);
    pthread_mutex_unlock(&s->lock);
}

/* The FIFOs' contents. */
static void fifo_state(struct serial *s, struct state *st)
{
    state_item(st, s->rx);
    state_item(st, s->rx_head);
    state_item(st, s->rx_count);
    state_item(st, s->tx);
    state_item(st, s->tx_count);
    if (s->rx_head < SERIAL_FIFO && s->rx_count <= SERIAL_FIFO && s->tx_count <= SERIAL_FIFO)
        return;
    s->rx_head = s->rx_count = s->tx_count = 0;
    state_refuse(st, "a serial port in the saved state holds more than it can");
}

void serial_state(struct serial *s, struct state *st)
{
    uint8_t pending = s->thr_empty_pending, overrun = s->overrun;

    pthread_mutex_lock(&s->lock);
    if (state_section(st, "serial", 1)) {
        state_item(st, s->ier);
        state_item(st, s->fcr);
        state_item(st, s->lcr);
        state_item(st, s->mcr);
        state_item(st, s->scratch);
        state_item(st, s->divisor);
        state_item(st, pending);
        state_item(st, overrun);
        fifo_state(s, st);
    }
    if (st->loading) {
        s->thr_empty_pending = pending;
        s->overrun = overrun;
        update_irq(s);
    }
    pthread_mutex_unlock(&s->lock);
}
