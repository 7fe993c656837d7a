"""Defects of the recurrent operators, float and hybrid."""

from ptq.defects.defect import INTENDED, NEITHER, Defect

RECURRENT_SCALES = Defect(
    "hybrid RNN, LSTM and SVDF operators",
    "it takes several scales of a weight tensor for a scale of 0",
    "quantize with one scale for each tensor",
    "`core/subgraph.cc`, GetLegacyQuantization",
    NEITHER,
)
LSTM_NONE_HYBRID = Defect(
    "hybrid LSTM operators",
    "with activation NONE it multiplies the output gate by the candidate, not by the cell state",
    "use TANH",
    "`kernels/lstm_eval.cc`, CalculateLstmOutputHybrid; ApplyActivationToVector",
)
LSTM_NONE_FLOAT = Defect(
    "float LSTM operators",
    "with activation NONE it multiplies the output gate by the candidate, not by the cell state, and leaves "
    "the candidate unfinished in some steps",
    "use TANH",
    "`kernels/lstm_eval.cc`, CalculateLstmOutputFloat; ApplyActivationToVector",
    INTENDED,
)
LSTM_WIDE_PROJECTION = Defect(
    "float LSTM operators",
    "a projection to more outputs than there are cells overruns its buffers",
    "project to fewer outputs than cells",
    "`kernels/lstm_eval.cc`, CalculateLstmOutputFloat: projection_bias_scratch",
    INTENDED,
)
BIDIRECTIONAL_LSTM_MERGED = Defect(
    "BIDIRECTIONAL_SEQUENCE_LSTM",
    "with merged outputs, batch-major tensors and several batch rows it reads and writes the output states "
    "outside their rows",
    "use time-major tensors, two outputs, or a batch of 1",
    "`kernels/lstm_eval.cc`, EvalFloat and EvalHybrid: output_state_ptr",
    INTENDED,
)
BIDIRECTIONAL_RNN_REPEATED = Defect(
    "hybrid BIDIRECTIONAL_SEQUENCE_RNN",
    "it runs a time-major sequence of T steps T times, carrying the states over",
    "use batch-major tensors (time_major false)",
    "`kernels/bidirectional_sequence_rnn.cc`, EvalHybrid",
)
BIDIRECTIONAL_RNN_CRASH = Defect(
    "hybrid BIDIRECTIONAL_SEQUENCE_RNN",
    "it crashes on time-major sequences with merged outputs, symmetric activations and several batch rows",
    "use batch-major tensors (time_major false)",
    "`kernels/bidirectional_sequence_rnn.cc`, EvalHybrid",
    INTENDED,
)
AUXILIARY_LARGER = Defect(
    "BIDIRECTIONAL_SEQUENCE_RNN (float: time-major only)",
    "it looks for the rows of an auxiliary input that is larger than the input where the input's would begin",
    "give both inputs the same size, with zeros at the end of the smaller one and of its weights",
    "`kernels/bidirectional_sequence_rnn.cc`, EvalFloat and EvalHybrid: aux_input_ptr_batch",
)
AUXILIARY_SMALLER = Defect(
    "BIDIRECTIONAL_SEQUENCE_RNN (float: time-major only)",
    "it looks for the rows of an auxiliary input that is smaller than the input where the input's would "
    "begin, in the end behind the buffer",
    "give both inputs the same size, with zeros at the end of the smaller one and of its weights",
    "`kernels/bidirectional_sequence_rnn.cc`, EvalFloat and EvalHybrid: aux_input_ptr_batch",
    INTENDED,
)
AUXILIARY_UNREAD = Defect(
    "BIDIRECTIONAL_SEQUENCE_RNN",
    "in batch-major tensors it does not read an auxiliary input that has no weights",
    "use time-major tensors",
    "`kernels/bidirectional_sequence_rnn.cc`, EvalFloat and EvalHybrid",
)
SVDF_MIXED = Defect(
    "SVDF",
    "it takes float time weights beside int8 feature weights for integers",
    "quantize both weights or none",
    "`kernels/svdf.cc`, Eval",
    INTENDED,
)
